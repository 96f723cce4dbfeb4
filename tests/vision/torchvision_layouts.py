"""torchvision's DenseNet, ResNet and ViT in plain PyTorch: its names, its computation, any size.

Written from the published layouts (Huang et al. 2017; He et al. 2016, with the stride in the 3 × 3
convolution; Dosovitskiy et al. 2021) and torchvision's names of the weights, since torchvision
cannot be installed beside a CPU build of torch. Each returns a backbone's features.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.functional import relu


class DenseLayer(nn.Module):
    def __init__(self, channels: int, growth: int, bottleneck: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, bottleneck * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bottleneck * growth)
        self.conv2 = nn.Conv2d(bottleneck * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        new = self.conv2(relu(self.norm2(self.conv1(relu(self.norm1(x))))))
        return torch.cat([x, new], dim=1)


class DenseNet(nn.Module):
    def __init__(self, blocks=(6, 12, 24, 16), growth=32, first=64, bottleneck=4, channels=3):
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(channels, first, 7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(first),
            relu0=nn.ReLU(),
            pool0=nn.MaxPool2d(3, stride=2, padding=1),
        )
        width = first
        for number, count in enumerate(blocks, start=1):
            block = nn.Sequential()
            for layer in range(1, count + 1):
                block.add_module(f"denselayer{layer}", DenseLayer(width, growth, bottleneck))
                width += growth
            layers[f"denseblock{number}"] = block
            if number < len(blocks):
                layers[f"transition{number}"] = nn.Sequential(
                    OrderedDict(
                        norm=nn.BatchNorm2d(width),
                        relu=nn.ReLU(),
                        conv=nn.Conv2d(width, width // 2, 1, bias=False),
                        pool=nn.AvgPool2d(2),
                    )
                )
                width //= 2
        layers["norm5"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(width, 14)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return relu(self.features(x))


class Bottleneck(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride > 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride=stride, bias=False),
                nn.BatchNorm2d(4 * width),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        new = relu(self.bn1(self.conv1(x)))
        new = self.bn3(self.conv3(relu(self.bn2(self.conv2(new)))))
        return relu(new + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, depths=(3, 4, 23, 3), first=64, channels=3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, first, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        width, previous = first, first
        for number, depth in enumerate(depths, start=1):
            blocks = []
            for block in range(depth):
                stride = 2 if number > 1 and block == 0 else 1
                blocks.append(Bottleneck(previous, width, stride))
                previous = 4 * width
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            width *= 2
        self.stages = len(depths)
        self.fc = nn.Linear(previous, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x


class EncoderBlock(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Identity(), nn.Linear(hidden, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.ln_1(x)
        x = x + self.self_attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    def __init__(self, layers: int, width: int, heads: int, hidden: int, tokens: int) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.randn(1, tokens, width))
        self.layers = nn.Sequential(
            OrderedDict(
                (f"encoder_layer_{number}", EncoderBlock(width, heads, hidden))
                for number in range(layers)
            )
        )
        self.ln = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.ln(self.layers(x + self.pos_embedding))


class VisionTransformer(nn.Module):
    def __init__(self, size=224, patch=16, layers=12, width=768, heads=12, hidden=3072) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.randn(1, 1, width))
        self.encoder = Encoder(layers, width, heads, hidden, 1 + (size // patch) ** 2)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(width, 10)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1)
        return self.encoder(tokens)


def randomise(network: nn.Module, seed: int = 0) -> nn.Module:
    """Draw every weight and every batch statistic, as if the network had been trained."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                drawn = torch.randn(value.shape, generator=generator)
                fan_in = value[0].numel() if value.ndim > 1 else 1
                scaled = 0.5 + drawn.abs() if name.endswith("running_var") else drawn / fan_in**0.5
                value.copy_(scaled + (value.ndim == 1 and name.endswith("weight")))
    return network.eval()
