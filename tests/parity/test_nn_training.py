"""Whole models trained from the same weights: the losses agree step for step with PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

draw = np.random.default_rng(0)


def losses(m, model, optimizer, loss_of, steps=5, clip=None):
    found = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model, step)
        loss.backward()
        if clip is not None:
            m.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        found.append(loss.item())
    return found


def agree(build, make_optimizer, loss_of, steps=5, clip=None):
    """The losses of `build(m)` in both libraries, from PyTorch's initial weights."""
    torch.manual_seed(0)
    theirs = build(torch)
    ours = build(tg)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    found = [
        losses(m, model, make_optimizer(m, model.parameters()), lambda model, step, m=m: loss_of(m, model, step), steps, clip)
        for m, model in ((tg, ours), (torch, theirs))
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=2e-4)
    assert found[0][-1] != found[0][0]
    for (name, got), (_, want) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=2e-3, atol=2e-4, err_msg=name)


tokens = draw.integers(0, 17, (6, 4, 13))


def test_a_small_gpt():
    def build(m):
        nn, F = m.nn, m.nn.functional

        class Block(nn.Module):
            def __init__(self, d, heads):
                super().__init__()
                self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
                self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
                self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d), nn.Dropout(0.0))
                self.heads = heads
                self.register_buffer("mask", m.tril(m.ones(12, 12)).view(1, 1, 12, 12))

            def forward(self, x):
                b, t, c = x.size()
                q, k, v = self.qkv(self.ln1(x)).split(c, dim=2)
                q, k, v = (z.view(b, t, self.heads, c // self.heads).transpose(1, 2) for z in (q, k, v))
                att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
                att = F.softmax(att.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf")), dim=-1)
                x = x + self.proj((att @ v).transpose(1, 2).contiguous().view(b, t, c))
                return x + self.mlp(self.ln2(x))

        class GPT(nn.Module):
            def __init__(self):
                super().__init__()
                self.wte, self.wpe = nn.Embedding(17, 16), nn.Embedding(12, 16)
                self.blocks = nn.ModuleList([Block(16, 2) for _ in range(2)])
                self.ln = nn.LayerNorm(16)
                self.head = nn.Linear(16, 17, bias=False)
                self.wte.weight = self.head.weight
                self.apply(self.init)

            def init(self, module):
                if isinstance(module, (nn.Linear, nn.Embedding)):
                    nn.init.normal_(module.weight, mean=0.0, std=0.02)
                    if isinstance(module, nn.Linear) and module.bias is not None:
                        nn.init.zeros_(module.bias)

            def forward(self, ids, targets):
                x = self.wte(ids) + self.wpe(m.arange(0, ids.size(1)))
                for block in self.blocks:
                    x = block(x)
                logits = self.head(self.ln(x))
                return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.reshape(-1))

        return GPT()

    def loss_of(m, model, step):
        ids = m.from_numpy(tokens[step])
        return model(ids[:, :-1], ids[:, 1:])

    def optimizer(m, parameters):
        parameters = list(parameters)
        groups = [
            {"params": [p for p in parameters if p.dim() >= 2]},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        return m.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)

    agree(build, optimizer, loss_of, clip=1.0)


def test_a_language_model_with_lstm():
    def build(m):
        nn = m.nn

        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.encoder = nn.Embedding(17, 8)
                self.rnn = nn.LSTM(8, 12, 2, dropout=0)
                self.decoder = nn.Linear(12, 17)
                nn.init.uniform_(self.encoder.weight, -0.1, 0.1)

            def forward(self, ids, hidden):
                out, hidden = self.rnn(self.encoder(ids), hidden)
                return self.decoder(out).view(-1, 17), hidden

        return Model()

    state = {}

    def loss_of(m, model, step):
        ids = m.from_numpy(tokens[step].T.copy())
        hidden = state.get(m)
        if hidden is None:
            weight = next(model.parameters())
            hidden = (weight.new_zeros(2, 4, 12), weight.new_zeros(2, 4, 12))
        hidden = tuple(h.detach() for h in hidden)
        logits, state[m] = model(ids[:-1], hidden)
        return m.nn.CrossEntropyLoss()(logits, ids[1:].reshape(-1))

    agree(build, lambda m, p: m.optim.SGD(p, lr=1.0), loss_of, clip=0.25)


images = draw.uniform(0, 1, (6, 8, 1, 8, 8)).astype("f4")
noise = draw.standard_normal((6, 8, 5)).astype("f4")


def test_a_variational_autoencoder():
    def build(m):
        nn, F = m.nn, m.nn.functional

        class VAE(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1, self.fc21, self.fc22 = nn.Linear(64, 20), nn.Linear(20, 5), nn.Linear(20, 5)
                self.fc3, self.fc4 = nn.Linear(5, 20), nn.Linear(20, 64)

            def forward(self, x, eps):
                h = F.relu(self.fc1(x.view(-1, 64)))
                mu, logvar = self.fc21(h), self.fc22(h)
                z = mu + eps * m.exp(0.5 * logvar)
                return m.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar

        return VAE()

    def loss_of(m, model, step):
        x = m.from_numpy(images[step])
        recon, mu, logvar = model(x, m.from_numpy(noise[step]))
        bce = m.nn.functional.binary_cross_entropy(recon, x.view(-1, 64), reduction="sum")
        return bce - 0.5 * m.sum(1 + logvar - mu.pow(2) - logvar.exp())

    agree(build, lambda m, p: m.optim.Adam(p, lr=1e-2), loss_of)


def test_a_generator_against_a_discriminator():
    def build(m):
        nn = m.nn

        def weights_init(module):
            name = module.__class__.__name__
            if name.find("Conv") != -1:
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif name.find("BatchNorm") != -1:
                nn.init.normal_(module.weight, 1.0, 0.02)
                nn.init.zeros_(module.bias)

        generator = nn.Sequential(
            nn.ConvTranspose2d(5, 8, 4, 1, 0, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
            nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip
        discriminator = nn.Sequential(
            nn.Conv2d(1, 4, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(4, 8, 3, 1, 1, bias=False),
            nn.BatchNorm2d(8), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(8, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0),
        )  # fmt: skip
        both = nn.ModuleDict({"generator": generator, "discriminator": discriminator})
        return both.apply(weights_init)

    def loss_of(m, model, step):
        criterion = m.nn.BCELoss()
        real, fake = m.from_numpy(images[step]), model["generator"](m.from_numpy(noise[step])[:, :, None, None])
        labels = m.full((8,), 1.0)
        if step % 2:
            return criterion(model["discriminator"](fake), labels)
        return criterion(model["discriminator"](real), labels) + criterion(model["discriminator"](fake.detach()), m.zeros(8))

    agree(build, lambda m, p: m.optim.Adam(p, lr=2e-3, betas=(0.5, 0.999)), loss_of, steps=6)


def test_a_residual_network():
    def build(m):
        nn, F = m.nn, m.nn.functional

        class Block(nn.Module):
            def __init__(self, width, out, stride):
                super().__init__()
                self.conv1, self.bn1 = nn.Conv2d(width, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
                self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
                self.shortcut = nn.Sequential()
                if stride != 1 or width != out:
                    self.shortcut = nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))

            def forward(self, x):
                out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
                out += self.shortcut(x)
                return F.relu(out)

        return nn.Sequential(Block(1, 4, 1), Block(4, 6, 2), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(6, 10))

    labels = draw.integers(0, 10, (6, 8))

    def loss_of(m, model, step):
        return m.nn.functional.cross_entropy(model(m.from_numpy(images[step])), m.from_numpy(labels[step]))

    agree(build, lambda m, p: m.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True), loss_of)


def test_attention_over_a_graph():
    adjacency = (draw.uniform(size=(9, 9)) < 0.4) | np.eye(9, dtype=bool)
    features, labels = draw.standard_normal((9, 6)).astype("f4"), draw.integers(0, 3, 9)

    def build(m):
        nn, F = m.nn, m.nn.functional

        class Head(nn.Module):
            def __init__(self, inputs, outputs, concat):
                super().__init__()
                self.W = nn.Parameter(m.empty(size=(inputs, outputs)))
                nn.init.xavier_uniform_(self.W.data, gain=1.414)
                self.a = nn.Parameter(m.empty(size=(2 * outputs, 1)))
                nn.init.xavier_uniform_(self.a.data, gain=1.414)
                self.leakyrelu, self.concat, self.size = nn.LeakyReLU(0.2), concat, outputs

            def forward(self, h, adj):
                wh = m.mm(h, self.W)
                e = self.leakyrelu(m.matmul(wh, self.a[: self.size]) + m.matmul(wh, self.a[self.size :]).T)
                attention = F.softmax(m.where(adj > 0, e, -9e15 * m.ones_like(e)), dim=1)
                out = m.matmul(F.dropout(attention, 0.0, training=self.training), wh)
                return F.elu(out) if self.concat else out

        class GAT(nn.Module):
            def __init__(self):
                super().__init__()
                self.attentions = [Head(6, 4, True) for _ in range(3)]
                for i, attention in enumerate(self.attentions):
                    self.add_module(f"attention_{i}", attention)
                self.out_att = Head(12, 3, False)

            def forward(self, x, adj):
                x = m.cat([attention(x, adj) for attention in self.attentions], dim=1)
                return F.log_softmax(F.elu(self.out_att(x, adj)), dim=1)

        return GAT()

    def loss_of(m, model, step):
        out = model(m.from_numpy(features), m.from_numpy(adjacency.astype("f4")))
        return m.nn.functional.nll_loss(out[1:], m.from_numpy(labels[1:]))

    agree(build, lambda m, p: m.optim.Adam(p, lr=0.01, weight_decay=5e-4), loss_of)


def test_packed_sequences_through_an_encoder_and_a_decoder():
    lengths = [9, 12, 4, 7]

    def build(m):
        nn = m.nn

        class Seq2Seq(nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding = nn.Embedding(17, 6, padding_idx=0)
                self.encoder = nn.GRU(6, 5, bidirectional=True, batch_first=True)
                self.bridge = nn.Linear(10, 8)
                self.decoder = nn.GRUCell(6, 8)
                self.out = nn.Linear(8, 17)

            def forward(self, ids):
                packed = nn.utils.rnn.pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
                _, state = self.encoder(packed)
                h = m.tanh(self.bridge(m.cat([state[0], state[1]], dim=1)))
                logits = []
                for t in range(5):
                    h = self.decoder(self.embedding(ids[:, t]), h)
                    logits.append(self.out(h))
                return m.stack(logits, dim=1)

        return Seq2Seq()

    def loss_of(m, model, step):
        ids = m.from_numpy(tokens[step][:, :12].copy())
        return m.nn.CrossEntropyLoss(ignore_index=0)(model(ids).flatten(0, 1), ids[:, 1:6].flatten())

    agree(build, lambda m, p: m.optim.RMSprop(p, lr=1e-2), loss_of)
