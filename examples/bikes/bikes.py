"""How many bikes are rented in an hour? The whole pipeline: sample, dataset, training, what is served."""

import json
import random
import koboshi
import polars as pl

project = koboshi.Project.find()


@project.topic("rentals", decode=json.loads)  # `koboshi run` sends these while it has no records
def rentals():
    draw = random.Random(0)
    for ride in range(6_000):
        hour, heat = ride % 24, round(draw.uniform(0, 25), 1)
        bikes = round(20 + heat * (12 if hour in (8, 17, 18) else 3) + draw.gauss(0, 5))
        yield str(ride), json.dumps({"ride": ride, "hour": hour, "heat": heat, "rentals": bikes})


@project.stage(deps=["cut.json"])
def table(out):  # pinned records become a checksummed dataset; a total order gives the same bytes
    rows = pl.DataFrame(project.records("rentals"))
    rows.unique("ride").sort("ride").write_parquet(out / "rows.parquet")


trees = koboshi.boosting(features=["hour", "heat"], label="rentals", steps=10)
project.train(on="table", units={"trees": trees}, metric="r2")
project.serve("trees")
if __name__ == "__main__":
    project.main()
