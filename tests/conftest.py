"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing of the code. Examples are the same every time, so that a
# change is judged by what it changes; `pytest --hypothesis-profile explore` looks for new ones.
settings.register_profile("freehold", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("explore", settings.get_profile("freehold"), derandomize=False)
settings.load_profile("freehold")
