"""check_keys_read.py finds a key that nobody asks for."""

import check_keys_read


def prepare(tmp_path, monkeypatch, code):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.h").write_text(
        "struct config_limits {\n    uint32_t depth; /* [3, 1..9] */\n    bool wide;\n};\n"
        "struct config {\n    struct config_limits limits;\n};\n")
    (tmp_path / "config/check.c").write_text("x = limits->wide;\n")
    (tmp_path / "reader.c").write_text(code)
    (tmp_path / "reader_test.c").write_text("y = limits->wide;\n")
    monkeypatch.setattr(check_keys_read, "SOURCE", tmp_path)


def test_all_read(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch, "a = config->limits.depth + config->limits.wide;\n")
    assert check_keys_read.main() == 0


def test_one_is_read_by_its_test_and_its_checker_only(tmp_path, monkeypatch, capsys):
    prepare(tmp_path, monkeypatch, "a = config->limits.depth;\n")
    assert check_keys_read.main() == 1
    assert "nobody reads wide of struct config_limits" in capsys.readouterr().err


def test_one_that_is_only_set_is_not_read(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch, "a = config->limits.depth;\nb = (struct core){\n    .wide = 1};\n")
    assert check_keys_read.main() == 1
