"""How far a result is from the truth. Metrics are pure functions on arrays; takes, files and pictures come on top.

Positions go in as metres in the world, missing points as NaN; figures come out in the unit that their name ends with.
Every figure says over how many points it was taken (`Distribution.n`) and how many the prediction lacks (`.missing`).

| module | judges |
|---|---|
| `distribution` | what every figure consists of: n, missing, mean, median, p90, p95, max |
| `alignment` | similarity, rigid, scale-only and root alignment, per frame or one transform for a whole take |
| `pose_metrics` | MPJPE (absolute, root-aligned, N-, PA-, whole take), per joint and frame, PCK, AUC, swapped sides |
| `angle_metrics` | rotations of joints, anatomical angles and limb directions from points |
| `motion_metrics` | velocity, acceleration, jitter, bone lengths |
| `contact_metrics` | feet: skating, sliding, penetration and floating; contacts found in a true motion |
| `people_metrics` | several people: precision and recall, AP, identities (MOTA, IDF1) |
| `limb_metrics` | PCP of Shelf and Campus |
| `image_metrics` | pixels, PCKh, PCK, OKS and its AP |
| `rig_metrics` | a calibrated rig against the true one |
| `sync_metrics` | clocks of cameras |
| `protocols` | published protocols by name: Human3.6M, CMU Panoptic, Shelf, Campus, MPI-INF-3DHP |
| `take` | a processed take, stage by stage; parts of it are in `evaluate_*` |
| `files` | points, rigs and clocks from files |
| `report`, `plots`, `overlay` | tables, PNGs, worst frames over the views |
"""
