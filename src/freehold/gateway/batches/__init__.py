"""OpenAI's batch API and work that can wait: files, batches, and when their lines run."""
