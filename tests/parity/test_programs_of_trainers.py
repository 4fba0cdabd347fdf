"""Further programs in the style of PyTorch's public examples, which train the same way here."""

# ruff: noqa: RUF005, UP008 (the programs are written as public ones are)

from __future__ import annotations

import importlib
import math

import pytest

from tests.parity.programs import check_program

PROGRAMS = []


def program(function):
    PROGRAMS.append(function)
    return function


@program
def transformer_language_model(torch, nn, F, start):
    vocabulary, width, length = 9, 8, 5

    class Positions(nn.Module):
        def __init__(self):
            super(Positions, self).__init__()
            table = torch.zeros(20, width)
            position = torch.arange(0, 20, dtype=torch.get_default_dtype()).unsqueeze(1)
            rate = torch.exp(torch.arange(0, width, 2).double() * (-math.log(10000.0) / width))
            table[:, 0::2], table[:, 1::2] = torch.sin(position * rate), torch.cos(position * rate)
            self.register_buffer("table", table.unsqueeze(0).transpose(0, 1))

        def forward(self, x):
            return x + self.table[: x.size(0), :]

    class Model(nn.Transformer):
        def __init__(self):
            super().__init__(d_model=width, nhead=2, dim_feedforward=12, num_encoder_layers=2, dropout=0.0)
            self.src_mask = None
            self.positions = Positions()
            self.input_embedding, self.decoder = nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary)
            nn.init.uniform_(self.input_embedding.weight, -0.1, 0.1)

        def forward(self, source):
            if self.src_mask is None or self.src_mask.size(0) != len(source):
                self.src_mask = torch.log(torch.tril(torch.ones(len(source), len(source)))).to(source.device)
            hidden = self.positions(self.input_embedding(source) * math.sqrt(width))
            return F.log_softmax(self.decoder(self.encoder(hidden, mask=self.src_mask)), dim=-1)

    def batchify(data, columns):
        rows = data.size(0) // columns
        return data.narrow(0, 0, rows * columns).view(columns, -1).t().contiguous()

    model, criterion, losses = start.same(Model()), nn.NLLLoss(), []
    text, rate, best = batchify(start.below(vocabulary, 67), 4), 0.5, None
    for _ in range(2):
        model.train()
        for i in range(0, text.size(0) - 1, length):
            count = min(length, len(text) - 1 - i)
            data, targets = text[i : i + count], text[i + 1 : i + 1 + count].view(-1)
            model.zero_grad()
            loss = criterion(model(data).view(-1, vocabulary), targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            for p in model.parameters():
                if p.grad is not None:
                    p.data.add_(p.grad, alpha=-rate)
            losses.append(loss.item())
        if not best or losses[-1] < best:
            best = losses[-1]
        else:
            rate /= 4.0
    with torch.no_grad():
        weights = model(text[:3])[-1, 0].squeeze().div(0.8).exp().cpu()
    return losses + [rate, weights]


@program
def decoder_with_decay_groups(torch, nn, F, start):
    """A trainer whose order of samples is drawn with replacement; given that order and the weights, all is equal."""
    vocabulary, width, heads, length = 5, 8, 2, 6
    data = importlib.import_module(torch.__name__ + ".utils.data")

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.ModuleDict({"up": nn.Linear(width, 4 * width), "down": nn.Linear(4 * width, width)})
            self.register_buffer("mask", torch.tril(torch.ones(length, length)).view(1, 1, length, length))

        def forward(self, x):
            batch, steps, _ = x.size()
            q, k, v = (
                part.view(batch, steps, heads, width // heads).transpose(1, 2)
                for part in self.qkv(self.norm_1(x)).split(width, dim=2)
            )
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            scores = scores.masked_fill(self.mask[:, :, :steps, :steps] == 0, float("-inf"))
            mixed = F.softmax(scores, dim=-1) @ v
            x = x + self.out(mixed.transpose(1, 2).contiguous().view(batch, steps, width))
            hidden = self.mlp["up"](self.norm_2(x))
            gelu = 0.5 * hidden * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (hidden + 0.044715 * torch.pow(hidden, 3.0))))
            return x + self.mlp["down"](gelu)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
            self.blocks = nn.ModuleList([Block() for _ in range(2)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
            self.apply(self.initialize)
            for name, p in self.named_parameters():
                if name.endswith("out.weight"):
                    torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(4))

        def initialize(self, module):
            if isinstance(module, (nn.Linear, nn.Embedding)):
                torch.nn.init.normal_(module.weight, mean=0.0, std=0.2)
            if isinstance(module, nn.Linear) and module.bias is not None:
                torch.nn.init.zeros_(module.bias)

        def optimizer(self):
            decay, rest = set(), set()
            for path, module in self.named_modules():
                for name, _ in module.named_parameters(recurse=False):
                    decayed = name == "weight" and isinstance(module, nn.Linear)
                    (decay if decayed else rest).add(f"{path}.{name}" if path else name)
            params = dict(self.named_parameters())
            assert not decay & rest and decay | rest == params.keys()
            groups = [
                {"params": [params[name] for name in sorted(decay)], "weight_decay": 0.1},
                {"params": [params[name] for name in sorted(rest)], "weight_decay": 0.0},
            ]
            return torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95))

        def forward(self, tokens, targets):
            x = self.tokens(tokens) + self.places(torch.arange(0, tokens.size(1), dtype=torch.long).unsqueeze(0))
            for block in self.blocks:
                x = block(x)
            logits = self.head(self.norm(x))
            return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)

    class Sorting(data.Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, i):
            digits = torch.tensor([(i * (j + 3)) % vocabulary for j in range(length)], dtype=torch.long)
            ordered = torch.sort(digits)[0]
            ordered[:2] = -1
            return digits, ordered

    model, seen = start.same(Decoder()), []
    optimizer = model.optimizer()
    warm = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: (k + 1) / 4 if k < 4 else max(0.1, 0.5 * (1 + math.cos(math.pi * (k - 4) / 8)))
    )
    order = [int(i) for i in start.below(40, 64)]
    model.train()
    for tokens, targets in data.DataLoader(Sorting(), sampler=order, batch_size=5, drop_last=True):
        _, loss = model(tokens, targets)
        model.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        seen += [loss.item(), norm, *[p.grad.clone() for p in model.parameters()]]
        optimizer.step()
        warm.step()
        seen += [group["lr"] for group in optimizer.param_groups]
    return seen + list(model.parameters())


@program
def waves(torch, nn, start):
    class Sequence(nn.Module):
        def __init__(self):
            super(Sequence, self).__init__()
            self.lstm1, self.lstm2, self.linear = nn.LSTMCell(1, 6), nn.LSTMCell(6, 6), nn.Linear(6, 1)

        def forward(self, input, future=0):
            outputs = []
            h_t = torch.zeros(input.size(0), 6, dtype=torch.double)
            c_t, h_t2, c_t2 = torch.zeros_like(h_t), torch.zeros_like(h_t), torch.zeros_like(h_t)
            for input_t in input.split(1, dim=1):
                h_t, c_t = self.lstm1(input_t, (h_t, c_t))
                h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                output = self.linear(h_t2)
                outputs += [output]
            for _ in range(future):
                h_t, c_t = self.lstm1(output, (h_t, c_t))
                h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                output = self.linear(h_t2)
                outputs += [output]
            return torch.cat(outputs, dim=1)

    data = torch.sin(torch.arange(12).double()[None] / 2 + torch.tensor([[0.0], [1.0], [2.5]]))
    seq, criterion, losses = start.same(Sequence().double()), nn.MSELoss(), []
    optimizer = torch.optim.LBFGS(seq.parameters(), lr=0.8, max_iter=6)

    def closure():
        optimizer.zero_grad()
        loss = criterion(seq(data[:, :-1]), data[:, 1:])
        losses.append(loss.item())
        loss.backward()
        return loss

    for _ in range(2):
        optimizer.step(closure)
        with torch.no_grad():
            prediction = seq(data[:, :-1], future=4)
    return losses + [prediction[:, -4:]]


@program
def super_resolution(torch, nn, start):
    init = importlib.import_module(torch.__name__ + ".nn.init")

    class Net(nn.Module):
        def __init__(self, upscale_factor):
            super(Net, self).__init__()
            self.relu = nn.ReLU(inplace=True)
            self.conv1 = nn.Conv2d(1, 6, (5, 5), (1, 1), (2, 2))
            self.conv2 = nn.Conv2d(6, upscale_factor**2, (3, 3), (1, 1), (1, 1))
            self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
            init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
            init.orthogonal_(self.conv2.weight)

        def forward(self, x):
            return self.pixel_shuffle(self.conv2(self.relu(self.conv1(x))))

    model = start.same(Net(upscale_factor=3))
    optimizer, criterion, results = torch.optim.Adam(model.parameters(), lr=0.01), nn.MSELoss(), []
    for _ in range(3):
        input, target = start.normal(2, 1, 5, 4), start.normal(2, 1, 15, 12)
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            results += [loss.item(), 10 * math.log10(1 / criterion(model(input), target).item())]
    return results


@program
def siamese_network(torch, nn, start):
    class Siamese(nn.Module):
        def __init__(self):
            super(Siamese, self).__init__()
            self.trunk = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2))
            self.fc = nn.Sequential(nn.Linear(32, 8), nn.ReLU(inplace=True), nn.Linear(8, 1))
            self.sigmoid = nn.Sigmoid()
            self.trunk.apply(self.init_weights)
            self.fc.apply(self.init_weights)

        def init_weights(self, m):
            if isinstance(m, nn.Linear):
                torch.nn.init.xavier_uniform_(m.weight)
                m.bias.data.fill_(0.01)

        def forward_once(self, x):
            output = self.trunk(x)
            return output.view(output.size()[0], -1)

        def forward(self, one, other):
            return self.sigmoid(self.fc(torch.cat((self.forward_once(one), self.forward_once(other)), 1)))

    model, criterion, losses = start.same(Siamese()), nn.BCELoss(), []
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for _ in range(3):
        model.train()
        optimizer.zero_grad()
        targets = start.below(2, 6).to(torch.get_default_dtype())
        outputs = model(start.normal(6, 1, 7, 7), start.normal(6, 1, 7, 7)).squeeze()
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        scheduler.step()
        pred = torch.where(outputs > 0.5, 1, 0)
        losses += [loss.item(), pred.eq(targets.view_as(pred)).sum().item(), scheduler.get_last_lr()[0]]
    return losses + [model.trunk[1].running_mean]


@program
def actor_critic(torch, nn, F, start):
    Categorical = importlib.import_module(torch.__name__ + ".distributions").Categorical
    Normal = importlib.import_module(torch.__name__ + ".distributions").Normal

    class Policy(nn.Module):
        def __init__(self):
            super(Policy, self).__init__()
            self.affine1 = nn.Linear(4, 8)
            self.action_head, self.value_head = nn.Linear(8, 2), nn.Linear(8, 1)
            self.log_std = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            x = F.relu(self.affine1(x))
            return F.softmax(self.action_head(x), dim=-1), self.value_head(x)

    model, eps, losses = start.same(Policy()), 1e-8, []
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
    for _ in range(3):
        saved, rewards = [], []
        for reward in (1.0, -0.5, 2.0, 0.0):
            probs, value = model(start.normal(1, 4).squeeze(0))
            m = Categorical(probs)
            action = start.below(2, 1)[0]
            assert m.sample().item() in (0, 1)
            force = Normal(value, model.log_std.exp()).log_prob(torch.tensor(reward)).sum()
            saved.append((m.log_prob(action), value, m.entropy(), force))
            rewards.append(reward)
        R, returns = 0, []
        for r in rewards[::-1]:
            R = r + 0.9 * R
            returns.insert(0, R)
        returns = torch.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + eps)
        policy_losses, value_losses = [], []
        for (log_prob, value, entropy, force), R in zip(saved, returns):
            policy_losses.append(-log_prob * (R - value.item()) - 0.01 * entropy - 0.1 * force)
            value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
        optimizer.zero_grad()
        loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@program
def minimal_gpt_trainer(torch, nn, F, start):
    data = importlib.import_module(torch.__name__ + ".utils.data.dataloader")
    sets = importlib.import_module(torch.__name__ + ".utils.data")
    device = "cuda" if torch.cuda.is_available() else "cpu"

    class Pieces(sets.Dataset):
        def __init__(self, text):
            self.text = text

        def __len__(self):
            return len(self.text) - 6

        def __getitem__(self, i):
            piece = self.text[i : i + 7]
            return piece[:-1], piece[1:]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.attn = nn.Embedding(7, 8), nn.MultiheadAttention(8, 2, batch_first=True)
            self.ln, self.head = nn.LayerNorm(8), nn.Linear(8, 7, bias=False)
            self.register_buffer("mask", torch.triu(torch.ones(6, 6, dtype=torch.bool), diagonal=1))

        def configure_optimizers(self):
            decay, no_decay = set(), set()
            for mn, m in self.named_modules():
                for pn, _ in m.named_parameters():
                    fpn = "%s.%s" % (mn, pn) if mn else pn  # noqa: UP031
                    if pn.endswith("bias") or isinstance(m, (nn.LayerNorm, nn.Embedding)):
                        no_decay.add(fpn)
                    elif pn.endswith("weight") and isinstance(m, (nn.Linear, nn.MultiheadAttention)):
                        decay.add(fpn)
            params = dict(self.named_parameters())
            decay &= params.keys() - no_decay
            groups = [
                {"params": [params[pn] for pn in sorted(decay)], "weight_decay": 0.1},
                {"params": [params[pn] for pn in sorted(params.keys() - decay)], "weight_decay": 0.0},
            ]
            return torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95))

        def forward(self, idx, targets=None):
            t = idx.size(1)
            x = self.wte(idx)
            x = x + self.attn(x, x, x, attn_mask=self.mask[:t, :t], need_weights=False)[0]
            logits = self.head(self.ln(x))
            loss = None
            if targets is not None:
                loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)
            return logits, loss

        @torch.no_grad()
        def generate(self, idx, count, top_k):
            for _ in range(count):
                logits = self(idx[:, -6:])[0][:, -1, :] / 0.9
                v, _ = torch.topk(logits, top_k)
                logits[logits < v[:, [-1]]] = -float("Inf")
                probs = F.softmax(logits, dim=-1)
                assert torch.multinomial(probs, num_samples=1).shape == (idx.size(0), 1)
                _, idx_next = torch.topk(probs, k=1, dim=-1)
                idx = torch.cat((idx, idx_next), dim=1)
            return idx

    dataset = Pieces(start.below(7, 30))
    loader = data.DataLoader(dataset, shuffle=False, pin_memory=False, batch_size=5, num_workers=0)
    model, losses = start.same(Model()).to(device), []
    scaler = torch.amp.GradScaler(device, enabled=False)
    optimizer, batches = model.configure_optimizers(), iter(loader)
    for step in range(6):
        try:
            batch = next(batches)
        except StopIteration:
            batches = iter(loader)
            batch = next(batches)
        x, y = [t.to(device, non_blocking=True) for t in batch]
        with torch.amp.autocast(device_type=device, enabled=False):
            _, loss = model(x, y)
        model.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * max(0.1, 0.5 * (1.0 + math.cos(math.pi * step / 6)))
        losses += [loss.item(), norm]
    model.eval()
    return losses + [model.generate(dataset[0][0][None], 5, top_k=3)]


@program
def polynomial_regression(torch, nn, F, start):
    target = start.normal(4, 1) * 5

    def features(x):
        x = x.unsqueeze(1)
        return torch.cat([x**i for i in range(1, 5)], 1)

    fc, losses = start.same(torch.nn.Linear(target.size(0), 1)), []
    for _ in range(4):
        x = features(start.normal(8))
        y = x.mm(target) + 0.3
        fc.zero_grad()
        output = F.smooth_l1_loss(fc(x), y)
        loss = output.item()
        output.backward()
        for param in fc.parameters():
            param.data.add_(-0.1 * param.grad)
        losses.append(loss)
    return losses + [fc.weight.view(-1), fc.bias]


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_same_program_same_losses(function):
    check_program(function)
