"""configs/README.md has exactly the keys that the program reads."""


def test_the_readme_ends_with_the_reference(program, root):
    reference = program.run("--config-reference").stdout
    assert len(reference) > 1000
    assert (root / "configs/README.md").read_text().endswith(reference), \
        "configs/README.md does not end with the output of `popalign --config-reference`"
