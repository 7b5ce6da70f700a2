"""Training of the segmenter of tissues that ``common.segmenter`` ships, on simulated heads."""
