"""Makes `losses.json`: DeiT's loss to a teacher, DynamicViT's to its features, and their gradients. `README.md` says what is in it.

    pip install torch==2.15.0 timm==1.0.31
    python make.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy

IMAGES, CLASSES = 5, 4
MIXED = 0.7
PATCHES, FEATURES, KEPT = 6, 3, [0, 2, 5]
# How vitslim writes it, DeiT's `distillation_type`, `tau` and `alpha`, whether there are two heads, whether labels are mixed, smoothing.
CASES = [
    ("Soft(temperature: 1.0, share: 0.5)", "soft", 1.0, 0.5, False, False, 0.0),
    ("Soft(temperature: 3.0, share: 0.1)", "soft", 3.0, 0.1, False, False, 0.1),
    ("Soft(temperature: 3.0, share: 0.5)", "soft", 3.0, 0.5, True, True, 0.1),
    ("Soft(temperature: 0.5, share: 1.0)", "soft", 0.5, 1.0, False, True, 0.0),
    ("Hard(share: 0.5)", "hard", 1.0, 0.5, False, False, 0.1),
    ("Hard(share: 0.25)", "hard", 1.0, 0.25, True, True, 0.1),
]


class DistillationLoss(torch.nn.Module):
    """That of DeiT's `losses.py`, but for the names of its arguments, with the mean over images where DeiT divides by all logits."""

    def __init__(self, base_criterion, distillation_type, alpha, tau):
        super().__init__()
        self.base_criterion, self.distillation_type, self.alpha, self.tau = base_criterion, distillation_type, alpha, tau

    def forward(self, outputs, outputs_kd, labels, teacher_outputs):
        base_loss = self.base_criterion(outputs, labels)
        if self.distillation_type == "soft":
            T = self.tau
            distillation_loss = F.kl_div(
                F.log_softmax(outputs_kd / T, dim=1),
                F.log_softmax(teacher_outputs / T, dim=1),
                reduction="sum",
                log_target=True,
            ) * (T * T) / len(outputs_kd)
        else:
            distillation_loss = F.cross_entropy(outputs_kd, teacher_outputs.argmax(dim=1))
        return base_loss * (1 - self.alpha) + distillation_loss * self.alpha


def of_features(token_pred, token_t, mask):
    """What `DistillDiffPruningLoss_dynamic` of DynamicViT's `losses.py` adds for the tokens, with `mse_token`, as its DeiT is trained."""
    B, N, C = token_pred.size()
    bool_mask = mask.reshape(B * N) > 0.5
    token_pred, token_t = token_pred.reshape(B * N, C)[bool_mask], token_t.reshape(B * N, C)[bool_mask]
    return torch.pow(token_pred - token_t, 2).mean()


def main():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    logits = {name: (torch.randn(IMAGES, CLASSES) * 2).float().double() for name in ("class", "distillation", "teacher")}
    labels = torch.randint(CLASSES, (IMAGES,))
    cases = []
    for kind, distillation_type, tau, alpha, two_heads, mixed, smoothing in CASES:
        heads = [logits[name].clone().requires_grad_() for name in ("class", "distillation")[: 1 + two_heads]]
        base, target = LabelSmoothingCrossEntropy(smoothing) if smoothing else torch.nn.CrossEntropyLoss(), labels
        if mixed:
            one_hot = F.one_hot(labels, CLASSES) * (1 - smoothing) + smoothing / CLASSES
            base, target = SoftTargetCrossEntropy(), one_hot * MIXED + one_hot.flip(0) * (1 - MIXED)
        loss = DistillationLoss(base, distillation_type, alpha, tau)(heads[0], heads[-1], target, logits["teacher"])
        loss.backward()
        gradients = [head.grad.tolist() for head in heads]
        cases.append(dict(kind=kind, mixed=mixed, smoothing=smoothing, loss=loss.item(), gradients=gradients))
    student, teacher = (torch.randn(IMAGES, PATCHES, FEATURES).float().double() for _ in range(2))
    mask = torch.zeros(IMAGES, PATCHES)
    mask[:, KEPT] = 1
    student.requires_grad_()
    loss = of_features(student, teacher, mask)
    loss.backward()
    features = dict(student=student[:, KEPT].tolist(), teacher=teacher.tolist(), kept=KEPT, loss=loss.item())
    features |= dict(gradient=student.grad[:, KEPT].tolist())
    found = {name: values.tolist() for name, values in logits.items()}
    found |= dict(labels=labels.tolist(), mixed=MIXED, cases=cases, features=features)
    (Path(__file__).parent / "losses.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
