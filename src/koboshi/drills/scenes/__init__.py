"""What drills work on: trainings, landings, requests, runs of DAGs, each of the drill's own."""
