from cluster_agent.jobs.scheduling import Need, Waiting, pick, places


def job(job_id, *, gpus=0, cpus=1, memory_bytes=0, priority="normal"):
    need = Need(gpus=gpus, cpus=cpus, memory_bytes=memory_bytes)
    return Waiting(job_id=job_id, title=f"box/{job_id}", need=need, priority=priority)


def test_pick_starts_in_order_of_submission_what_fits_together():
    queue = [job(3, gpus=1), job(1, gpus=1), job(2, gpus=1)]
    assert pick(queue, Need(gpus=2, cpus=8)) == [1, 2]


def test_pick_lets_nobody_overtake_a_job_that_does_not_fit():
    assert pick([job(1, gpus=4), job(2)], Need(gpus=2, cpus=8)) == []


def test_pick_takes_the_normal_class_before_the_low_one():
    assert pick([job(1, priority="low"), job(2)], Need(cpus=1)) == [2]


def test_pick_counts_gpus_cpus_and_memory_together():
    free = Need(gpus=1, cpus=2, memory_bytes=10)
    assert pick([job(1, gpus=1, cpus=2, memory_bytes=11)], free) == []
    assert pick([job(1, gpus=1, cpus=3, memory_bytes=10)], free) == []
    assert pick([job(1, gpus=1, cpus=2, memory_bytes=10)], free) == [1]


def test_places_say_position_and_reason():
    told = places([job(2), job(1, gpus=2)], Need(gpus=1, cpus=8))
    assert (told[1].position, told[1].reason) == (1, "needs 2 GPUs, 1 free")
    assert (told[2].position, told[2].reason) == (2, "waits for box/1, which is ahead")
