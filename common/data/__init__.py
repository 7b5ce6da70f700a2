"""Cases: datalists with patient-level splits, folder layouts, checks before training, datasets.

``synthesize datalist`` and ``synthesize check`` are the commands for them.
"""
