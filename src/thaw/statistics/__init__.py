"""Statistics on arrays: intervals, calibration, comparisons. It knows nothing of files, stages or networks."""
