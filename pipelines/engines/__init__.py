"""Speech engines behind the ports of `agent.speech`: blocking, thread-safe, loaded once per process."""
