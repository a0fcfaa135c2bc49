"""Prints the constants of optimizer_test.cpp (torch 2.15.0, transformers 5.23)."""

import torch
import transformers

parameter = torch.nn.Parameter(torch.tensor([0.5, -1.25, 2.0], dtype=torch.float64))
optimizer = torch.optim.AdamW([parameter], lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
gradients = [[0.1, -0.2, 0.3], [1.0, 0.5, -0.25], [-0.3, 0.0, 0.7]]
for gradient, rate in zip(gradients, [0.1, 0.05, 0.02]):
    optimizer.param_groups[0]["lr"] = rate
    parameter.grad = torch.tensor(gradient, dtype=torch.float64)
    optimizer.step()
    print(parameter.tolist())

optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
schedule = transformers.get_cosine_schedule_with_warmup(optimizer, 3, 24)
factors = []
for _ in range(25):
    factors.append(schedule.get_last_lr()[0])
    optimizer.step()
    schedule.step()
print(factors)
