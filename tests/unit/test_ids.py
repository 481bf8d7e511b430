import json

from cluster_agent.jobs.ids import BLOCK, IdSource, highest_folder


def source(path, *, at_least=1, boot_id="boot-1"):
    return IdSource(path, at_least=at_least, boot_id=boot_id)


def test_ids_rise_from_one_and_go_on_after_a_clean_end(tmp_path):
    ids = source(tmp_path / "next-id")
    assert [ids.take() for _ in range(3)] == [1, 2, 3]
    ids.close()
    again = source(tmp_path / "next-id", boot_id="boot-2")
    assert again.take() == 4


def test_ids_go_on_without_a_gap_after_a_crash_of_the_process(tmp_path):
    ids = source(tmp_path / "next-id")
    taken = [ids.take() for _ in range(BLOCK + 5)]
    assert source(tmp_path / "next-id").take() == taken[-1] + 1


def test_ids_skip_what_was_synced_ahead_after_a_power_cut(tmp_path):
    ids = source(tmp_path / "next-id")
    taken = [ids.take() for _ in range(5)]
    mark = json.loads((tmp_path / "next-id").read_text())
    # What a power cut may leave: the synced content, without what was written since.
    (tmp_path / "next-id").write_text(json.dumps(mark | {"exact": 1}))
    assert source(tmp_path / "next-id", boot_id="boot-2").take() > taken[-1]


def test_ids_are_above_everything_known_from_elsewhere(tmp_path):
    assert source(tmp_path / "next-id", at_least=500).take() == 500


def test_highest_folder_ignores_what_is_no_id(tmp_path):
    assert highest_folder(tmp_path) == 0
    for name in ("7", "12", "x3", ".tmp"):
        (tmp_path / name).mkdir()
    assert highest_folder(tmp_path) == 12
