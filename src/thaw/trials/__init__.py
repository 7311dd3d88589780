"""Many trainings of one project, recorded as one run with a child each: what commands do beside the pipeline.

They join the stages, which they call on a part of the images or with other parameters. The modules are imported by name.
"""
