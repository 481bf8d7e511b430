"""How people come: port, addresses, certificate, tokens. Pure."""

from __future__ import annotations

from cluster_agent.doctor.facts import Address, People, Port, Tls
from cluster_agent.doctor.finding import Finding, ok, warning, wrong
from cluster_agent.units import format_duration

_SOON_S = 21 * 86400.0


def port(found: Port) -> Finding:
    """Whether the agent could listen where it is told to; judged while it does not serve."""
    if found.taken:
        return wrong(
            "port",
            f"{found.host}:{found.port} cannot be used: {found.taken}",
            "see who listens there (ss -ltnp), or set another port",
        )
    return ok("port", f"{found.host}:{found.port} is free")


def address(check: str, found: Address, agent_id: str) -> Finding:
    """Whether this agent is what answers there."""
    if found.other_certificate:
        return warning(
            check,
            f"{found.url} shows another certificate than this agent's: a proxy, or another service?",
            "behind a proxy with TLS of its own: insecure_http = true on loopback; invites then carry no print",
        )
    if found.error:
        return wrong(
            check, found.error, "see address, firewall and allowed_hosts; people come by this address"
        )
    if found.agent_id != agent_id:
        return wrong(
            check, f"{found.url} is another agent ({found.agent_id})", "set public_url to this one's address"
        )
    return ok(check, f"{found.url} is this agent")


def tls(found: Tls, now: float) -> Finding:
    """Whether the certificate is good, for long enough, for the names that people use, with a private key."""
    if found.error:
        return wrong("certificate", found.error, "set tls_cert and tls_key; cluster-agent init makes them")
    if found.key_mode & 0o077:
        return wrong(
            "certificate", "others can read its key", "chmod 600 the file tls_key, and make a new one"
        )
    renew = "renew it and restart the agent; people with invites then need new ones"
    if now > found.ends_at:
        return wrong("certificate", f"{found.chain} has expired", renew)
    if now < found.begins_at:
        return wrong("certificate", f"{found.chain} is not valid yet", "is this machine's clock right?")
    if found.missing:
        return warning(
            "certificate",
            f"it is not for {', '.join(found.missing)} (but for {', '.join(found.names)})",
            "invites work all the same; for --ca make one with these names",
        )
    left = format_duration(found.ends_at - now)
    if found.ends_at - now < _SOON_S:
        return warning("certificate", f"it ends in {left}", renew)
    return ok("certificate", f"for {', '.join(found.names)}, good for {left}")


def people(found: People) -> Finding:
    """Whether those who have tokens can trust each other as far as they have to."""
    others = ", ".join(found.users)
    if len(found.users) > 1 and not found.shared_uid and not found.apart:
        return wrong(
            "people",
            f"{others} have tokens, and all jobs run as one unix user: the agent does not start so",
            "shared_uid = true if they may read each other's files; else an agent that is root (isolation = user)",
        )
    if found.ending:
        return warning(
            "people",
            f"tokens that end within two weeks: {', '.join(found.ending)}",
            "cluster-agent token rotate ID",
        )
    if len(found.users) > 1 and found.apart:
        return ok("people", f"{others}: each with a unix user of their own")
    if len(found.users) > 1:
        return ok("people", f"{others}: one trust domain, as shared_uid says")
    return ok("people", others or "nobody has a token yet")
