"""A training job that hears no beats: it learns of deaths alone. The negative control's only change."""

from koboshi.exits import run_and_exit
from koboshi.training.driver.loop import run_job
from koboshi.training.on_ray.ray_pool import on_ray

if __name__ == "__main__":
    run_and_exit(lambda: run_job(on_ray), "train")
