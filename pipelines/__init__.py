"""The only importer of Pipecat: one call as a pipeline of thin processors."""
