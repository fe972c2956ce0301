"""The real images of a configuration, loaded once per process."""

from functools import lru_cache

from gansearch import registry
from gansearch.config import DataConfig
from gansearch.data.base import Images, Split


def load_images(section: DataConfig, split: Split) -> Images:
    """The images that `section` names; equal sections share one copy. UserError as `Dataset.load` says."""
    return _load(section.model_dump_json(), split)


@lru_cache(maxsize=4)
def _load(section: str, split: Split) -> Images:
    images: Images = registry.build("data", DataConfig.model_validate_json(section)).load(split)
    return images
