"""The comparison of settings for compression."""

from benchmarks.deflate_settings import SETTINGS, Setting, installed, tables


def test_the_tables_show_each_setting_in_proportion_to_the_first() -> None:
    settings = [SETTINGS[0], SETTINGS[1]]
    lines = list(tables(settings, [("json", 1024, 1), ("random", 256, 1)]))
    assert lines[0] == "\njson of 1,024 bytes"
    assert lines[2].startswith("zlib level 6, memory level 5 ")
    assert lines[2].count("(1.00)") == 3
    assert lines[3].startswith("asgi_ws ")
    assert lines[4] == "\nrandom of 256 bytes"
    # Few random payloads look as if they could be compressed, and they can where a message comes again.
    assert 200 < float(lines[7].split()[3]) <= 256
    # KiB of a compressor and an inflater.
    compressor, inflater = map(float, lines[-1].split()[-2:])
    assert 20 < compressor < 100
    assert 2 < inflater < 60


def test_libraries_that_are_not_there_are_left_out() -> None:
    assert installed([SETTINGS[0], Setting("none", "no_such_library", 1), SETTINGS[1]]) == [SETTINGS[0], SETTINGS[1]]
