"""How fast the course's code is beside what a learner would otherwise use: `make bench`.

Contenders start from the same weights and read the same batches; that they compute the same is
checked before anything is timed. `rows.py` lists what is compared, `protocol.py` says how.
"""
