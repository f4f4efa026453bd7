"""Attention Branch Network: a classifier that says where it looked. See README.md."""

from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification

from .calibration import Calibration
from .explanation import Explainer, Explanation
from .model.configuration_abn import AbnConfig
from .model.image_processing_abn import AbnImageProcessor
from .model.modeling_abn import AbnForImageClassification, AbnOutput
from .model.modeling_multitask import AbnForMultiTaskClassification
from .overlay import jet, overlay

AutoConfig.register(AbnConfig.model_type, AbnConfig)
AutoModel.register(AbnConfig, AbnForImageClassification)
AutoModelForImageClassification.register(AbnConfig, AbnForImageClassification)
AutoImageProcessor.register(AbnConfig, image_processor_classes={"torchvision": AbnImageProcessor})

# save_pretrained and push_to_hub carry these classes' files along, so that others need not have this package.
AbnConfig.register_for_auto_class()
AbnForImageClassification.register_for_auto_class("AutoModelForImageClassification")
AbnForMultiTaskClassification.register_for_auto_class("AutoModelForImageClassification")
AbnImageProcessor.register_for_auto_class("AutoImageProcessor")

__version__ = "0.1.0"

__all__ = [
    "AbnConfig",
    "AbnForImageClassification",
    "AbnForMultiTaskClassification",
    "AbnImageProcessor",
    "AbnOutput",
    "Calibration",
    "Explainer",
    "Explanation",
    "jet",
    "overlay",
]
