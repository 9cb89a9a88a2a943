"""The least that a Django project of a reader's would have."""

from typing import Final

SECRET_KEY: Final = "for the tests of the documentation"
ROOT_URLCONF: Final = __name__
urlpatterns: Final[list[object]] = []
