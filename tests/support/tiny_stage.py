"""The smallest stage: what `building` promises, without the weight of a table library."""

from pathlib import Path

from koboshi.datasets.build import building

if __name__ == "__main__":
    with building(Path.cwd() / "data" / "it") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a.txt").write_text("one")
        (folder / "b.txt").write_text("two")
