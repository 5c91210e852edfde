"""How the recogniser of simulated trainees is made; not part of the wheel."""
