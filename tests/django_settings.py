"""The settings of the one Django that a test process can have: for the site in `mounting` and the documentation."""

from typing import Final

SECRET_KEY: Final = "for the tests alone"
ROOT_URLCONF: Final = "tests.mounting.django_site"
ALLOWED_HOSTS: Final = ["testserver"]
