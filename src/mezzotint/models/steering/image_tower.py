"""The picture side of a CLIP and its derivative, by hand: the network of transformers as few large products.

On a CPU automatic differentiation costs as much as the arithmetic at a handful of pictures. What is folded: the
normalization of pictures into the first product, the scale of attention into the queries, the 1.702 of
quick_gelu into the layer before it (what remains is SiLU); and the last layer is computed for the one token
that is read. Notation: `g` is the gradient with respect to what the method of that place returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Back = Callable[[Tensor], Tensor]
_OPS: Any = torch.ops.aten


def foldable(model: Any) -> bool:
    """Whether `Vision` computes the same as this network of transformers."""
    config = getattr(model.config, "vision_config", None)
    known = type(model).__name__ == "CLIPModel"
    return known and getattr(config, "hidden_act", "") in ("quick_gelu", "gelu")


def autograd_features(
    network: Callable[[Tensor], Tensor],
    pictures: Tensor,
    dtype: torch.dtype,
    mean: Sequence[float],
    std: Sequence[float],
) -> tuple[Tensor, Back]:
    """As `Vision`, for a network that is differentiated automatically; it reads normalized pictures in float32."""
    middle, spread = (torch.tensor(v, device=pictures.device)[:, None, None] for v in (mean, std))
    with torch.enable_grad():
        entry = pictures.float().detach().requires_grad_()
        with torch.autocast(entry.device.type, dtype, enabled=dtype != torch.float32):
            found = network((entry - middle) / spread).float()

    def back(g: Tensor) -> Tensor:
        return torch.autograd.grad(found, entry, g)[0].to(pictures.dtype)

    return found.detach(), back


class TowerLinear(NamedTuple):
    """y = x @ weight.T + bias."""

    weight: Tensor
    bias: Tensor


class ImageTower:
    """(n, 3, size, size) pictures in 0..1 to (n, d) features in float32, not of unit length, and the way back."""

    def __init__(self, model: Any, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype):
        tower, self._dtype = model.vision_model, dtype
        embeddings = tower.embeddings
        kernel, places = embeddings.patch_embedding.weight, embeddings.position_embedding.weight
        middle, spread = (kernel.new_tensor(v)[:, None, None] for v in (mean, std))
        self.patch: int = kernel.shape[-1]
        shift = (kernel * (middle / spread)).sum((1, 2, 3))
        self.embed, self.places, self.first, self.out = (
            weight.detach().to(dtype).contiguous()
            for weight in (
                (kernel / spread).flatten(1),
                places[1:] - shift,
                embeddings.class_embedding + places[0],
                model.visual_projection.weight,
            )
        )
        self.before, self.after = TowerNorm(tower.pre_layrnorm, dtype), TowerNorm(tower.post_layernorm, dtype)
        self.layers = [TowerLayer(layer, dtype) for layer in tower.encoder.layers]

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> tuple[Tensor, Back]:
        """The features, and what turns a gradient with respect to them into one with respect to the pictures."""
        n, across = len(pictures), pictures.shape[-1] // self.patch
        y = F.linear(self._patches(pictures.to(self._dtype), across), self.embed).add_(self.places)
        y, before = self.before(torch.cat([self.first.expand(n, 1, -1), y], 1))
        backs = []
        for i, layer in enumerate(self.layers):
            y, back = layer(y, 1 if i == len(self.layers) - 1 else y.shape[1])
            backs.append(back)
        y, after = self.after(y)
        features = F.linear(y[:, 0], self.out).float()

        @torch.no_grad()
        def whole(g: Tensor) -> Tensor:
            g = after((g.to(self._dtype) @ self.out)[:, None])
            for back in reversed(backs):
                g = back(g)
            return self._merge_patches(before(g)[:, 1:] @ self.embed, across)

        return features, whole

    def _patches(self, x: Tensor, across: int) -> Tensor:
        """(n, 3, size, size) -> (n, across^2, 3*patch^2)."""
        split = x.reshape(len(x), -1, across, self.patch, across, self.patch)
        return split.permute(0, 2, 4, 1, 3, 5).reshape(len(x), across**2, -1)

    def _merge_patches(self, g: Tensor, across: int) -> Tensor:
        side = across * self.patch
        split = g.view(len(g), across, across, -1, self.patch, self.patch)
        return split.permute(0, 3, 1, 4, 2, 5).reshape(len(g), -1, side, side)


class TowerNorm:
    """Layer normalization."""

    def __init__(self, norm: Any, dtype: torch.dtype):
        self.weight, self.bias = norm.weight.detach().to(dtype), norm.bias.detach().to(dtype)
        self.shape, self.eps = list(norm.normalized_shape), float(norm.eps)

    def __call__(self, x: Tensor) -> tuple[Tensor, Back]:
        y, mean, rstd = torch.native_layer_norm(x, self.shape, self.weight, self.bias, self.eps)

        def back(g: Tensor) -> Tensor:
            found: Tensor = _OPS.native_layer_norm_backward(
                g, x, self.shape, mean, rstd, self.weight, self.bias, [True, False, False]
            )[0]
            return found

        return y, back


class TowerLayer:
    """Attention and the two linear layers after it, each added to what it reads."""

    def __init__(self, layer: Any, dtype: torch.dtype):
        attention, mlp = layer.self_attn, layer.mlp
        self.quick = mlp.config.hidden_act == "quick_gelu"
        self.heads: int = attention.num_heads
        slope, scale = 1.702 if self.quick else 1.0, attention.head_dim**-0.5
        q, k, v = attention.q_proj, attention.k_proj, attention.v_proj

        def fold_linear(weight: Tensor, bias: Tensor) -> TowerLinear:
            return TowerLinear(weight.detach().to(dtype).contiguous(), bias.detach().to(dtype))

        self.read = fold_linear(
            torch.cat([q.weight * scale, k.weight, v.weight]), torch.cat([q.bias * scale, k.bias, v.bias])
        )
        self.write = fold_linear(attention.out_proj.weight, attention.out_proj.bias)
        self.widen = fold_linear(mlp.fc1.weight * slope, mlp.fc1.bias * slope)
        self.narrow = fold_linear(mlp.fc2.weight / slope, mlp.fc2.bias)
        self.norm1, self.norm2 = TowerNorm(layer.layer_norm1, dtype), TowerNorm(layer.layer_norm2, dtype)

    def __call__(self, y: Tensor, count: int) -> tuple[Tensor, Back]:
        """(n, tokens, d) -> the first `count` tokens, (n, count, d)."""
        tokens = y.shape[1]
        z, norm1 = self.norm1(y)
        found, attended = self.attend(z, count)
        y = F.linear(found, *self.write).add_(y[:, :count])
        z, norm2 = self.norm2(y)
        wide = F.linear(z, *self.widen)
        end = F.linear(F.silu(wide) if self.quick else F.gelu(wide), *self.narrow).add_(y)

        def back(g: Tensor) -> Tensor:
            slope = (_OPS.silu_backward if self.quick else _OPS.gelu_backward)(g @ self.narrow.weight, wide)
            g = norm2(slope @ self.widen.weight).add_(g)
            whole = norm1(attended(g @ self.write.weight))
            (whole if count == tokens else whole[:, :count]).add_(g)
            return whole

        return end, back

    def attend(self, z: Tensor, count: int) -> tuple[Tensor, Back]:
        """(n, tokens, d) -> (n, count, d), before the layer's own output product."""
        n, tokens, d = z.shape
        weight, bias = self.read
        if count == tokens:
            q, k, v = self.split_heads(F.linear(z, weight, bias), 3)
        else:
            (q,) = self.split_heads(F.linear(z[:, :count], weight[:d], bias[:d]), 1)
            k, v = self.split_heads(F.linear(z, weight[d:], bias[d:]), 2)
        # plain products: on CPUs the fused attention is slower, most of all backward
        share = torch.softmax(torch.bmm(q, k.transpose(1, 2)), -1)
        found = self.merge_heads(torch.bmm(share, v)[None], n)

        def back(g: Tensor) -> Tensor:
            (out,) = self.split_heads(g, 1)
            slope = _OPS._softmax_backward_data(torch.bmm(out, v.transpose(1, 2)), share, -1, share.dtype)
            if count < tokens:
                kv = torch.stack([torch.bmm(slope.transpose(1, 2), q), torch.bmm(share.transpose(1, 2), out)])
                whole = self.merge_heads(kv, n) @ weight[d:]
                whole[:, :count] += self.merge_heads(torch.bmm(slope, k)[None], n) @ weight[:d]
                return whole
            qkv = k.new_empty(3, *k.shape)
            torch.bmm(slope, k, out=qkv[0])
            torch.bmm(slope.transpose(1, 2), q, out=qkv[1])
            torch.bmm(share.transpose(1, 2), out, out=qkv[2])
            return self.merge_heads(qkv, n) @ weight

        return found, back

    def split_heads(self, x: Tensor, parts: int) -> Tensor:
        """(n, tokens, parts*d) -> (parts, n*heads, tokens, d/heads), contiguous."""
        n, tokens, _ = x.shape
        apart = x.view(n, tokens, parts, self.heads, -1).permute(2, 0, 3, 1, 4)
        return apart.reshape(parts, n * self.heads, tokens, -1)

    def merge_heads(self, x: Tensor, n: int) -> Tensor:
        """(parts, n*heads, tokens, d/heads) -> (n, tokens, parts*d)."""
        parts, _, tokens, _ = x.shape
        return x.view(parts, n, self.heads, tokens, -1).permute(1, 3, 0, 2, 4).reshape(n, tokens, -1)
