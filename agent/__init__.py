"""What a rehearsal is: scenario, persona, call, events, errors. Pure; knows no framework."""
