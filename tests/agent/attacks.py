"""What a job of one unix user tries against the agent and the job of another."""

#: Each an expression in Bob's job, with what it knows of the agent and of Ada; all must raise.
ATTACKS = {
    "read the agent's database": "read(home + '/agent.db')",
    "read the agent's journal": "read(home + '/agent.db-wal')",
    "read the admin token": "read(home + '/token')",
    "read the agent's identity": "read(home + '/instance.json')",
    "read the agent's settings": "read(home + '/agent.toml')",
    "read who did what": "read(home + '/audit.log')",
    "read what supervisors say": "read(home + '/supervisors.log')",
    "write the admin token": "write(home + '/token')",
    "replace the admin token": "os.replace('mine', home + '/token')",
    "delete the database": "os.unlink(home + '/agent.db')",
    "make a file in the home": "write(home + '/drain.json')",
    "list the home": "os.listdir(home)",
    "list the jobs": "os.listdir(home + '/jobs')",
    "list what people have sent": "os.listdir(home + '/blobs')",
    "link to the token": "os.link(home + '/token', 'token')",
    "ask the agent by its socket": "connect(home + '/agent.sock')",
    "change the code of jobs": "write(kit + '/mlmagics_job/cell.py')",
    "add to the code of jobs": "write(kit + '/sitecustomize.py')",
    "read another's log": "read(theirs + '/events.ndjson')",
    "write another's log": "append(theirs + '/events.ndjson')",
    "look into another's folder": "os.listdir(theirs)",
    "look into another's working folder": "os.listdir(theirs + '/work')",
    "read another's file": "read(theirs + '/work/mine.txt')",
    "make a file for another": "write(theirs + '/work/planted.py')",
    "cancel another's job": "write(theirs + '/control.json')",
    "replace another's working folder": "os.rename(theirs + '/work', theirs + '/gone')",
    "write the own log": "append(mine + '/events.ndjson')",
    "read the own log": "read(mine + '/events.ndjson')",
    "replace the own log": "os.replace('mine', mine + '/events.ndjson')",
    "make a file beside the own log": "write(mine + '/control.json')",
    "replace the own working folder": "os.rename(mine + '/work', mine + '/gone')",
    "read another's environments": "os.listdir(home + f'/environments/user-{ada}')",
    "plant an environment for another": "os.makedirs(home + f'/environments/user-{ada}/0123456789ab')",
    "read another's variables": "read(f'/proc/{job}/environ')",
    "read another's memory": "read(f'/proc/{job}/mem')",
    "list another's open files": "os.listdir(f'/proc/{job}/fd')",
    "stop another's job": "os.kill(job, signal.SIGSTOP)",
    "kill another's job": "os.kill(job, signal.SIGKILL)",
    "kill another's group": "os.killpg(job, signal.SIGKILL)",
    "trace another's job": "trace(job)",
    "make another's job slower": "os.setpriority(os.PRIO_PROCESS, job, 19)",
    "kill another's supervisor": "os.kill(supervisor, signal.SIGKILL)",
    "kill the own supervisor": "os.kill(os.getppid(), signal.SIGKILL)",
    "nudge the own supervisor": "os.kill(os.getppid(), signal.SIGUSR1)",
    "trace the own supervisor": "trace(os.getppid())",
    "read the own supervisor's memory": "read(f'/proc/{os.getppid()}/mem')",
    "list the own supervisor's open files": "os.listdir(f'/proc/{os.getppid()}/fd')",
    "take the own supervisor's open files": "take_files(os.getppid())",
    "read the own supervisor's variables": "read(f'/proc/{os.getppid()}/environ')",
    "kill the agent": "os.kill(agent, signal.SIGKILL)",
    "trace the agent": "trace(agent)",
    "read the agent's variables": "read(f'/proc/{agent}/environ')",
    "become root": "os.setuid(0)",
    "become the keeper of logs": "os.setresuid(keeper, keeper, keeper)",
    "become another": "os.setuid(ada)",
    "take another's group": "os.setgid(ada)",
    "mount something": "mount()",
    "make a device": "os.mknod('disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))",
    "read another's private file in the project": "read(project + '/private.txt')",
    "delete another's file in the project": "os.unlink(project + '/private.txt')",
    "rename another's folder in the project": "os.rename(project + '/folder-of-ada', project + '/gone')",
    "put a file into another's folder": "write(project + '/folder-of-ada/deep/planted.py')",
    "replace the project's mark": "os.replace('mine', project + '/.mlmagics-project')",
}
PRELUDE = """
import ctypes, json, os, signal, socket, stat
libc = ctypes.CDLL(None, use_errno=True)
def read(path):
    with open(path, "rb") as file:
        return file.read(64)
def write(path, text="x"):
    with open(path, "w") as file:
        file.write(text)
def append(path):
    with open(path, "a") as file:
        file.write("x")
def connect(path):
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(path)
def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def trace(pid):
    libc.ptrace.restype = ctypes.c_long
    check(libc.ptrace(16, pid, 0, 0))
def take_files(pid):
    check(libc.syscall(438, os.pidfd_open(pid), 3, 0))
def mount():
    check(libc.mount(b"none", b"/mnt", b"tmpfs", 0, None))
project = os.environ["PROJECT_URL"].removeprefix("file://")
kit = os.environ["PYTHONPATH"]
mine = os.path.dirname(os.getcwd())
write("mine")
"""
