"""The torch modules, for people who write their own loop. Tensors are batch-first, always."""

from intermodal.nn.attention import Attention
from intermodal.nn.encoders import Encoder
from intermodal.nn.fused import Fused
from intermodal.nn.layer import FusionLayer
from intermodal.nn.network import FusionNetwork
from intermodal.nn.shared_scores import attend_subsets
from intermodal.nn.subsets import fuse_subsets
from intermodal.nn.textbook import BidirectionalCrossAttention, CrossAttention, SelfAttentionFusion

__all__ = [
    "Attention",
    "BidirectionalCrossAttention",
    "CrossAttention",
    "Encoder",
    "Fused",
    "FusionLayer",
    "FusionNetwork",
    "SelfAttentionFusion",
    "attend_subsets",
    "fuse_subsets",
]
