"""Corruptions of images, each once, its parameter in the unit of the field; spatial ones also transform the target.

| module | corruption: parameter |
|---|---|
| ``noise`` | Rician noise: standard deviation in the unit of the image, or over its robust maximum |
| ``motion`` | head motion during a scan: mm and degrees in the plane |
| ``undersampling`` (``kspace``, ``masks``) | undersampled k-space: acceleration factor |
| ``slices`` | thick slices: mm; wrong order |
| ``artefacts`` | ringing: share of k-space; ghosts, spikes: amplitude; fold-over: field of view; voids: mm |
| ``intensity`` | inversion: share of the contrast; bias field: percent; blur and brain extraction: mm |
| ``low_dose`` (``projection``) | CT at a lower dose: fraction of the dose |
| ``spatial`` | rotation: degrees; size: factor; field of view: share |
| ``graded`` | corruptions of a whole case by name and strength |
"""
