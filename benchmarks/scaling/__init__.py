"""Scale on paper and in simulation, from measured figures."""
