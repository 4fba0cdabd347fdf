"""Whole programs written for PyTorch, run by both libraries from the same weights: the losses are equal step by step."""

# ruff: noqa: B007, C408, RUF005, RUF059, UP008, UP032 (the programs are written as public ones are)

from __future__ import annotations

import importlib
import inspect
import io
import math
from collections import OrderedDict

import numpy as np
import pytest

from tests.parity.programs import check_program

PROGRAMS = []


def program(function):
    PROGRAMS.append(function)
    return function


@program
def gpt(torch, nn, F, start):
    vocabulary, block_size, width, heads = 11, 8, 12, 3

    class LayerNorm(nn.Module):
        def __init__(self, ndim, bias):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(ndim))
            self.bias = nn.Parameter(torch.zeros(ndim)) if bias else None

        def forward(self, input):
            return F.layer_norm(input, self.weight.shape, self.weight, self.bias, 1e-5)

    class Attention(nn.Module):
        def __init__(self, flash: bool) -> None:
            super().__init__()
            assert width % heads == 0
            self.c_attn = nn.Linear(width, 3 * width, bias=False)
            self.c_proj = nn.Linear(width, width, bias=False)
            self.flash = flash and hasattr(torch.nn.functional, "scaled_dot_product_attention")
            self.register_buffer("mask", torch.tril(torch.ones(block_size, block_size)).view(1, 1, block_size, block_size))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            B, T, C = x.size()
            q, k, v = self.c_attn(x).split(width, dim=2)
            k = k.view(B, T, heads, C // heads).transpose(1, 2)
            q = q.view(B, T, heads, C // heads).transpose(1, 2)
            v = v.view(B, T, heads, C // heads).transpose(1, 2)
            if self.flash:
                y = F.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=True)
            else:
                att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
                att = att.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf"))
                y = F.softmax(att, dim=-1) @ v
            return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))

    class Block(nn.Module):
        def __init__(self, flash):
            super().__init__()
            self.ln_1, self.ln_2 = LayerNorm(width, bias=False), LayerNorm(width, bias=True)
            self.attn = Attention(flash)
            self.mlp = nn.ModuleDict(
                dict(
                    c_fc=nn.Linear(width, 4 * width),
                    act=nn.GELU("tanh"),
                    c_proj=nn.Linear(4 * width, width),
                    drop=nn.Dropout(0.0),
                )
            )

        def forward(self, x):
            x = x + self.attn(self.ln_1(x))
            m = self.mlp
            return x + m.drop(m["c_proj"](m.act(m.c_fc(self.ln_2(x)))))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.transformer = nn.ModuleDict(
                dict(
                    wte=nn.Embedding(vocabulary, width),
                    wpe=nn.Embedding(block_size, width),
                    h=nn.ModuleList([Block(i % 2 == 0) for i in range(2)]),
                    ln_f=LayerNorm(width, bias=False),
                )
            )
            self.lm_head = nn.Linear(width, vocabulary, bias=False)
            self.transformer.wte.weight = self.lm_head.weight
            self.apply(self._init_weights)
            for pn, p in self.named_parameters():
                if pn.endswith("c_proj.weight"):
                    torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(4))

        def _init_weights(self, module):
            if isinstance(module, nn.Linear):
                torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
                if module.bias is not None:
                    torch.nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)

        def forward(self, idx, targets=None):
            device = idx.device
            b, t = idx.size()
            assert t <= block_size, f"sequence of length {t}"
            x = self.transformer.wte(idx) + self.transformer.wpe(torch.arange(0, t, dtype=torch.long, device=device))
            for block in self.transformer.h:
                x = block(x)
            x = self.transformer.ln_f(x)
            if targets is None:
                return self.lm_head(x[:, [-1], :]), None
            logits = self.lm_head(x)
            return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)

        def configure_optimizers(self, weight_decay, learning_rate, betas):
            param_dict = {pn: p for pn, p in self.named_parameters() if p.requires_grad}
            decay_params = [p for n, p in param_dict.items() if p.dim() >= 2]
            nodecay_params = [p for n, p in param_dict.items() if p.dim() < 2]
            groups = [{"params": decay_params, "weight_decay": weight_decay}, {"params": nodecay_params, "weight_decay": 0.0}]
            extra = dict(fused=False) if "fused" in inspect.signature(torch.optim.AdamW).parameters else {}
            return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, **extra)

        @torch.no_grad()
        def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None):
            for _ in range(max_new_tokens):
                idx_cond = idx if idx.size(1) <= block_size else idx[:, -block_size:]
                logits, _ = self(idx_cond)
                logits = logits[:, -1, :] / temperature
                if top_k is not None:
                    v, _ = torch.topk(logits, min(top_k, logits.size(-1)))
                    logits[logits < v[:, [-1]]] = -float("Inf")
                idx_next = torch.multinomial(F.softmax(logits, dim=-1), num_samples=1)
                idx = torch.cat((idx, idx_next), dim=1)
            return idx

    device = "cpu"
    model = start.same(GPT())
    model.to(device)
    assert model.lm_head.weight is model.transformer.wte.weight
    count = sum(p.numel() for p in model.parameters())
    optimizer = model.configure_optimizers(1e-1, 1e-2, (0.9, 0.95))
    data, losses = start.below(vocabulary, 100), [float(count)]
    for it in range(5):
        lr = 1e-3 + 0.5 * (1.0 + math.cos(math.pi * it / 5)) * 1e-2
        for param_group in optimizer.param_groups:
            param_group["lr"] = lr
        ix = start.below(len(data) - block_size, 4)
        x = torch.stack([data[i : i + block_size] for i in ix])
        y = torch.stack([data[i + 1 : i + 1 + block_size] for i in ix])
        x, y = x.to(device, non_blocking=True), y.to(device)
        logits, loss = model(x, y)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses += [loss.item(), norm]
    model.eval()
    text = model.generate(torch.zeros((1, 1), dtype=torch.long, device=device), 10, top_k=1)[0].tolist()
    assert model.generate(torch.zeros((2, 1), dtype=torch.long), 3, top_k=4).shape == (2, 4)
    return [*losses, np.array(text)]


@program
def character_mlp(torch, F, start):
    words = ["emma", "olivia", "ava", "isabella", "sophia"]
    stoi = {s: i + 1 for i, s in enumerate(sorted(set("".join(words))))}
    stoi["."] = 0
    X, Y, block = [], [], 3
    for w in words:
        context = [0] * block
        for ch in w + ".":
            X.append(context)
            Y.append(stoi[ch])
            context = context[1:] + [stoi[ch]]
    X, Y = torch.tensor(X), torch.tensor(Y)
    n, vocabulary = X.shape[0], len(stoi)
    N = torch.zeros((vocabulary, vocabulary), dtype=torch.int32)
    for a, b in zip(X[:, -1], Y):
        N[a, b] += 1
    P = (N + 1).float()
    P /= P.sum(1, keepdim=True)
    losses = [P.double(), -(P[X[:, -1], Y].log().mean()).item()]
    g = torch.Generator().manual_seed(2147483647)
    assert torch.multinomial(P[0], num_samples=1, replacement=True, generator=g).item() in range(vocabulary)
    assert torch.randn((2, 3), generator=g).shape == (2, 3) and torch.randint(0, 5, (4,), generator=g).max() < 5
    C, W1, b1, W2, b2 = (start.normal(*s) for s in [(vocabulary, 4), (block * 4, 9), (9,), (9, vocabulary), (vocabulary,)])
    bngain, bnbias = torch.ones((1, 9)), torch.zeros((1, 9))
    bnmean_running, bnstd_running = torch.zeros((1, 9)), torch.ones((1, 9))
    parameters = [C, W1, b1, W2, b2, bngain, bnbias]
    for p in parameters:
        p.requires_grad = True
    for i in range(4):
        emb = C[X]
        embcat = emb.view(emb.shape[0], -1)
        hprebn = embcat @ W1 + b1
        bnmeani = 1 / n * hprebn.sum(0, keepdim=True)
        bndiff = hprebn - bnmeani
        bndiff2 = bndiff**2
        bnvar = 1 / (n - 1) * bndiff2.sum(0, keepdim=True)
        bnvar_inv = (bnvar + 1e-5) ** -0.5
        bnraw = bndiff * bnvar_inv
        hpreact = bngain * bnraw + bnbias
        h = torch.tanh(hpreact)
        logits = h @ W2 + b2
        logit_maxes = logits.max(1, keepdim=True).values
        norm_logits = logits - logit_maxes
        counts = norm_logits.exp()
        counts_sum = counts.sum(1, keepdims=True)
        probs = counts * counts_sum**-1
        logprobs = probs.log()
        loss = -logprobs[range(n), Y].mean()
        with torch.no_grad():
            bnmean_running = 0.999 * bnmean_running + 0.001 * bnmeani
            bnstd_running = 0.999 * bnstd_running + 0.001 * hprebn.std(0, keepdim=True, unbiased=True)
        for p in parameters:
            p.grad = None
        kept = [logprobs, probs, logits, h, hpreact, bnraw, hprebn, embcat, emb]
        for t in kept:
            t.retain_grad()
        loss.backward()
        dlogits = F.softmax(logits, 1)
        dlogits[range(n), Y] -= 1
        dlogits /= n
        dhpreact = (1.0 - h**2) * (dlogits @ W2.T)
        dC = torch.zeros_like(C)
        for k in range(X.shape[0]):
            for j in range(X.shape[1]):
                dC[X[k, j]] += emb.grad[k, j]
        for name, mine, p in [("logits", dlogits, logits), ("hpreact", dhpreact, hpreact), ("C", dC, C)]:
            maxdiff = (mine - p.grad).abs().max().item()
            assert torch.allclose(mine, p.grad), f"{name:15s} | maxdiff: {maxdiff}"
        onehot = F.one_hot(logits.max(1).indices, num_classes=logits.shape[1])
        losses += [loss.item(), logits.grad, onehot.sum(0), *(t.grad for t in kept), bnstd_running, F.cross_entropy(logits, Y)]
        for p in parameters:
            p.data += -0.1 * p.grad
    return losses


@program
def lstm_language_model(torch, nn, F, start):
    class RNNModel(nn.Module):
        def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers):
            super().__init__()
            self.drop = nn.Dropout(0.0)
            self.encoder = nn.Embedding(ntoken, ninp)
            self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=0.0)
            self.decoder = nn.Linear(nhid, ntoken)
            self.decoder.weight = self.encoder.weight
            self.nlayers, self.nhid = nlayers, nhid
            nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
            nn.init.zeros_(self.decoder.bias)

        def forward(self, input, hidden):
            output, hidden = self.rnn(self.drop(self.encoder(input)), hidden)
            decoded = self.decoder(self.drop(output)).view(-1, 7)
            return F.log_softmax(decoded, dim=1), hidden

        def init_hidden(self, bsz):
            weight = next(self.parameters())
            return (weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid))

    def repackage_hidden(h):
        return h.detach() if isinstance(h, torch.Tensor) else tuple(repackage_hidden(v) for v in h)

    def batchify(data, bsz):
        nbatch = data.size(0) // bsz
        return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()

    data = batchify(start.below(7, 66), 4)
    model, criterion, losses = start.same(RNNModel("LSTM", 7, 6, 6, 2)), nn.NLLLoss(), []
    hidden, lr = model.init_hidden(4), 5.0
    for i in range(0, data.size(0) - 1, 3):
        seq_len = min(3, len(data) - 1 - i)
        x, targets = data[i : i + seq_len], data[i + 1 : i + 1 + seq_len].view(-1)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(x, hidden)
        loss = criterion(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        losses.append(loss.item())
    return [*losses, *hidden]


@program
def packed_classifier(torch, nn, F, start):
    from_utils = importlib.import_module(nn.__name__ + ".utils.rnn")

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(9, 5, padding_idx=0)
            self.gru = nn.GRU(5, 4, num_layers=2, bidirectional=True, batch_first=True)
            self.lstm = nn.LSTM(8, 3, batch_first=True, bidirectional=True)
            self.fc = nn.Linear(6, 3)

        def forward(self, x, lengths):
            packed = from_utils.pack_padded_sequence(self.embedding(x), lengths, batch_first=True, enforce_sorted=False)
            out, h = self.gru(packed)
            out, (h, c) = self.lstm(out)
            out, out_lengths = from_utils.pad_packed_sequence(out, batch_first=True)
            assert out_lengths.tolist() == lengths.tolist()
            return self.fc(torch.cat((h[-2, :, :], h[-1, :, :]), dim=1)) + self.fc(out.mean(1))

    model = start.same(Tagger())
    optimizer, losses = torch.optim.RMSprop(model.parameters(), lr=0.01), []
    sentences = [start.below(8, n) + 1 for n in (4, 6, 2)]
    x, lengths, y = from_utils.pad_sequence(sentences, batch_first=True), torch.tensor([4, 6, 2]), torch.LongTensor([0, 2, 1])
    for _ in range(4):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)(model(x, lengths), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return [*losses, model.embedding.weight.grad]


@program
def vae(torch, nn, F, start):
    class VAE(nn.Module):
        def __init__(self):
            super(VAE, self).__init__()
            self.fc1 = nn.Linear(16, 10)
            self.fc21 = nn.Linear(10, 3)
            self.fc22 = nn.Linear(10, 3)
            self.fc3 = nn.Linear(3, 10)
            self.fc4 = nn.Linear(10, 16)

        def encode(self, x):
            h1 = F.relu(self.fc1(x))
            return self.fc21(h1), self.fc22(h1)

        def reparameterize(self, mu, logvar):
            std = torch.exp(0.5 * logvar)
            eps = torch.randn_like(std) * 0 + start.normal(*std.shape)
            return mu + eps * std

        def decode(self, z):
            return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

        def forward(self, x):
            mu, logvar = self.encode(x.view(-1, 16))
            return self.decode(self.reparameterize(mu, logvar)), mu, logvar

    def loss_function(recon_x, x, mu, logvar):
        BCE = F.binary_cross_entropy(recon_x, x.view(-1, 16), reduction="sum")
        KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return BCE + KLD

    device = torch.device("cpu")
    model = start.same(VAE()).to(device)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=1e-2), []
    dataset = torch.utils.data.TensorDataset(torch.sigmoid(start.normal(20, 1, 4, 4)), start.below(10, 20))
    loader = torch.utils.data.DataLoader(dataset, batch_size=6, shuffle=False)
    assert len(dataset) == 20 and len(loader) == 4 and len(loader.dataset) == 20
    model.train()
    train_loss = 0
    for batch_idx, (data, _) in enumerate(loader):
        data = data.to(device)
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
        losses.append(loss.item() / len(data))
        line = "Train [{}/{} ({:.0f}%)]\tLoss: {:.6f}".format(
            batch_idx * len(data), len(dataset), 100.0 * batch_idx / 4, loss.item()
        )
        assert line and f"{loss:.3f}" == f"{loss.item():.3f}"
    return [*losses, train_loss]


@program
def dcgan(torch, nn, start):
    nz, ngf, nc = 5, 4, 1

    def weights_init(m):
        classname = m.__class__.__name__
        if classname.find("Conv") != -1:
            torch.nn.init.normal_(m.weight, 0.0, 0.02)
        elif classname.find("BatchNorm") != -1:
            m.weight.data.normal_(1.0, 0.02)
            m.bias.data.fill_(0)

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.main = nn.Sequential(
                nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
                nn.BatchNorm2d(ngf * 2),
                nn.ReLU(True),
                nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
                nn.BatchNorm2d(ngf),
                nn.ReLU(inplace=True),
                nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
                nn.Tanh(),
            )

        def forward(self, input):
            return self.main(input)

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.main = nn.Sequential(
                nn.Conv2d(nc, ngf, 4, 2, 1, bias=False),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(ngf, ngf * 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(ngf * 2),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(ngf * 2, 1, 4, 1, 0, bias=False),
                nn.Sigmoid(),
            )

        def forward(self, input):
            return self.main(input).view(-1, 1).squeeze(1)

    netG, netD = Generator(), Discriminator()
    netG.apply(weights_init)
    netD.apply(weights_init)
    start.same(netG), start.same(netD)
    assert "ConvTranspose2d(5, 8, kernel_size=(4, 4), stride=(1, 1), bias=False)" in str(netG)
    criterion, fixed_noise, losses = nn.BCELoss(), start.normal(2, nz, 1, 1), []
    optimizerD = torch.optim.Adam(netD.parameters(), lr=0.01, betas=(0.5, 0.999))
    optimizerG = torch.optim.Adam(netG.parameters(), lr=0.01, betas=(0.5, 0.999))
    for _ in range(3):
        netD.zero_grad()
        real = start.normal(4, nc, 16, 16).tanh()
        batch_size = real.size(0)
        label = torch.full((batch_size,), 1, dtype=real.dtype, device=real.device)
        output = netD(real)
        errD_real = criterion(output, label)
        errD_real.backward()
        D_x = output.mean().item()
        fake = netG(start.normal(batch_size, nz, 1, 1))
        label.fill_(0.0)
        errD_fake = criterion(netD(fake.detach()), label)
        errD_fake.backward()
        optimizerD.step()
        netG.zero_grad()
        label.fill_(1.0)
        errG = criterion(netD(fake), label)
        errG.backward()
        optimizerG.step()
        losses += [D_x, (errD_real + errD_fake).item(), errG.item()]
    with torch.no_grad():
        return [*losses, netG(fixed_noise).detach().cpu()]


@program
def graph_attention(torch, nn, F, start):
    class GraphAttentionLayer(nn.Module):
        def __init__(self, in_features, out_features, dropout, alpha, concat=True):
            super().__init__()
            self.dropout, self.out_features, self.concat = dropout, out_features, concat
            self.W = nn.Parameter(torch.empty(size=(in_features, out_features)))
            nn.init.xavier_uniform_(self.W.data, gain=1.414)
            self.a = nn.Parameter(torch.empty(size=(2 * out_features, 1)))
            nn.init.xavier_uniform_(self.a.data, gain=1.414)
            self.leakyrelu = nn.LeakyReLU(alpha)

        def forward(self, h, adj):
            Wh = torch.mm(h, self.W)
            Wh1 = torch.matmul(Wh, self.a[: self.out_features, :])
            Wh2 = torch.matmul(Wh, self.a[self.out_features :, :])
            e = self.leakyrelu(Wh1 + Wh2.T)
            zero_vec = -9e15 * torch.ones_like(e)
            attention = F.softmax(torch.where(adj > 0, e, zero_vec), dim=1)
            attention = F.dropout(attention, self.dropout, training=self.training)
            h_prime = torch.matmul(attention, Wh)
            return F.elu(h_prime) if self.concat else h_prime

        def __repr__(self):
            return self.__class__.__name__ + " (" + str(self.out_features) + ")"

    class GAT(nn.Module):
        def __init__(self, nfeat, nhid, nclass, dropout, alpha, nheads):
            super().__init__()
            self.attentions = [GraphAttentionLayer(nfeat, nhid, dropout, alpha) for _ in range(nheads)]
            for i, attention in enumerate(self.attentions):
                self.add_module("attention_{}".format(i), attention)
            self.out_att = GraphAttentionLayer(nhid * nheads, nclass, dropout, alpha, concat=False)

        def forward(self, x, adj):
            x = torch.cat([att(x, adj) for att in self.attentions], dim=1)
            return F.log_softmax(F.elu(self.out_att(x, adj)), dim=1)

    features, labels = start.normal(10, 6), start.below(3, 10)
    adj = (start.normal(10, 10) > 0.5).double() + torch.eye(10)
    adj = ((adj + adj.t()) > 0).type(torch.DoubleTensor)
    features = torch.FloatTensor(features.tolist()).to(torch.float64)
    adj = torch.mm(torch.diag(adj.sum(1).pow(-0.5)), adj)
    model = start.same(GAT(6, 4, int(labels.max()) + 1, 0.0, 0.2, 2))
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=5e-4), []
    idx_train = torch.LongTensor(range(6))
    for _ in range(5):
        model.train()
        optimizer.zero_grad()
        output = model(features, adj)
        loss_train = F.nll_loss(output[idx_train], labels[idx_train])
        loss_train.backward()
        optimizer.step()
        preds = output.max(1)[1].type_as(labels)
        acc = preds.eq(labels).double().sum() / len(labels)
        losses += [loss_train.data.item(), acc.item()]
    return losses


@program
def style_transfer(torch, nn, F, start):
    class ConvLayer(torch.nn.Module):
        def __init__(self, in_channels, out_channels, kernel_size, stride):
            super().__init__()
            self.reflection_pad = torch.nn.ReflectionPad2d(kernel_size // 2)
            self.conv2d = torch.nn.Conv2d(in_channels, out_channels, kernel_size, stride)

        def forward(self, x):
            return self.conv2d(self.reflection_pad(x))

    class ResidualBlock(torch.nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv1 = ConvLayer(channels, channels, kernel_size=3, stride=1)
            self.in1 = torch.nn.InstanceNorm2d(channels, affine=True)
            self.relu = torch.nn.ReLU()

        def forward(self, x):
            return self.relu(self.in1(self.conv1(x))) + x

    class UpsampleConvLayer(torch.nn.Module):
        def __init__(self, in_channels, out_channels, kernel_size, stride, upsample=None, mode="nearest"):
            super().__init__()
            self.upsample, self.mode = upsample, mode
            self.conv = ConvLayer(in_channels, out_channels, kernel_size, stride)

        def forward(self, x):
            return self.conv(torch.nn.functional.interpolate(x, mode=self.mode, scale_factor=self.upsample))

    def gram_matrix(y):
        (b, ch, h, w) = y.size()
        features = y.view(b, ch, w * h)
        return features.bmm(features.transpose(1, 2)) / (ch * h * w)

    net = start.same(
        nn.Sequential(
            ConvLayer(3, 4, 3, 2),
            nn.InstanceNorm2d(4, affine=True),
            nn.ReLU(),
            ResidualBlock(4),
            UpsampleConvLayer(4, 4, 3, 1, upsample=2),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.AvgPool2d(2),
            ConvLayer(4, 3, 3, 1),
        )
    )
    features = start.same(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)))
    for p in features.parameters():
        p.requires_grad = False
    optimizer, mse_loss, losses = torch.optim.Adam(net.parameters(), 1e-2), nn.MSELoss(), []
    mean = torch.tensor([0.485, 0.456, 0.406]).view(-1, 1, 1)
    style = gram_matrix(features(start.normal(1, 3, 8, 8)))
    for _ in range(4):
        optimizer.zero_grad()
        x = start.normal(2, 3, 8, 8)
        y = net(x)
        fy, fx = features(y - mean), features(x - mean)
        content_loss = 1e1 * mse_loss(fy, fx)
        gm = gram_matrix(fy)
        style_loss = 1e2 * mse_loss(gm, style[: len(x)].expand_as(gm))
        tv = torch.sum(torch.abs(y[:, :, :, :-1] - y[:, :, :, 1:])) + torch.sum(torch.abs(y[:, :, :-1, :] - y[:, :, 1:, :]))
        total_loss = content_loss + style_loss + 1e-3 * tv
        total_loss.backward()
        optimizer.step()
        losses.append(total_loss.item())
    image = net(x)[0].clone().clamp(0, 255).detach().numpy()
    return [*losses, image.transpose(1, 2, 0)]


@program
def resnet(torch, nn, F, start):
    lr_scheduler = importlib.import_module(torch.__name__ + ".optim.lr_scheduler")

    class BasicBlock(nn.Module):
        expansion: int = 1

        def __init__(self, in_planes, planes, stride=1):
            super().__init__()
            self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(planes)
            self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(planes)
            self.shortcut = nn.Sequential()
            if stride != 1 or in_planes != self.expansion * planes:
                self.shortcut = nn.Sequential(
                    OrderedDict(conv=nn.Conv2d(in_planes, planes, 1, stride, bias=False), norm=nn.BatchNorm2d(planes))
                )

        def forward(self, x):
            out = F.relu(self.bn1(self.conv1(x)), inplace=True)
            out = self.bn2(self.conv2(out))
            out += self.shortcut(x)
            return F.relu(out)

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
            self.bn1, self.maxpool = nn.BatchNorm2d(4), nn.MaxPool2d(3, stride=2, padding=1)
            self.layer1 = nn.Sequential(*[BasicBlock(4, 4), BasicBlock(4, 6, 2)])
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.fc = nn.Linear(6, 5)
            for m in self.modules():
                if isinstance(m, nn.Conv2d):
                    nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                    nn.init.constant_(m.weight, 1)
                    nn.init.constant_(m.bias, 0)

        def forward(self, x):
            out = self.layer1(self.maxpool(F.relu(self.bn1(self.conv1(x)))))
            return self.fc(torch.flatten(self.avgpool(out), 1))

    net = start.same(ResNet())
    criterion, losses = nn.CrossEntropyLoss(), []
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    warm = lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    for _ in range(3):
        net.train()
        inputs, targets = start.normal(4, 3, 8, 8), start.below(5, 4)
        optimizer.zero_grad()
        loss = criterion(net(inputs), targets)
        loss.backward()
        optimizer.step()
        net.eval()
        correct = total = 0
        with torch.no_grad():
            outputs = net(inputs)
            _, predicted = outputs.max(1)
            total += targets.size(0)
            correct += predicted.eq(targets).sum().item()
            top = outputs.topk(3, 1, True, True)[1].t().eq(targets.view(1, -1).expand(3, 4))
            correct_k = top[:2].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / 4)
        scheduler.step()
        warm.step()
        losses += [
            loss.item(),
            correct / total,
            correct_k,
            outputs,
            scheduler.get_last_lr()[0],
            optimizer.param_groups[0]["lr"],
        ]
    return [*losses, net.bn1.running_var, net.state_dict()["layer1.1.shortcut.norm.num_batches_tracked"]]


@program
def encoder_classifier(torch, nn, F, start):
    class PositionalEncoding(nn.Module):
        def __init__(self, d_model: int, max_len: int = 20):
            super().__init__()
            position = torch.arange(max_len).unsqueeze(1)
            div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
            pe = torch.zeros(max_len, 1, d_model)
            pe[:, 0, 0::2] = torch.sin(position * div_term)
            pe[:, 0, 1::2] = torch.cos(position * div_term)
            self.register_buffer("pe", pe)

        def forward(self, x):
            return x + self.pe[: x.size(0)]

    class Classifier(nn.Module):
        def __init__(self, norm_first):
            super().__init__()
            self.embed, self.position = nn.Embedding(10, 8), PositionalEncoding(8)
            layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, activation="gelu", norm_first=norm_first)
            self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
            self.cls = nn.Parameter(torch.randn(1, 1, 8))
            self.head = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 3))

        def forward(self, tokens, mask):
            x = self.position(self.embed(tokens) * math.sqrt(8))
            x = torch.cat([self.cls.expand(-1, x.shape[1], -1), x], dim=0)
            padding = F.pad(mask, (1, 0), value=False)
            return self.head(self.encoder(x, src_key_padding_mask=padding)[0])

    losses = []
    for norm_first in (False, True):
        model = start.same(Classifier(norm_first))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) ** -0.5, (step + 1) * 3**-1.5))
        tokens, y = start.below(10, 6, 4), start.below(3, 4)
        mask = torch.arange(6)[None, :] >= torch.tensor([6, 4, 5, 2])[:, None]
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(tokens, mask), y, weight=torch.tensor([1.0, 2.0, 0.5]))
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), 0.5)
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    causal = nn.Transformer.generate_square_subsequent_mask(6)
    decoder = start.same(nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 12, 0.0, batch_first=True), 1))
    return [*losses, decoder(start.normal(2, 6, 8), start.normal(2, 3, 8), tgt_mask=causal, tgt_is_causal=True)]


@program
def name_classifier(torch, nn, start):
    class RNN(nn.Module):
        def __init__(self, input_size, hidden_size, output_size):
            super().__init__()
            self.hidden_size = hidden_size
            self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
            self.h2o = nn.Linear(hidden_size, output_size)
            self.softmax = nn.LogSoftmax(dim=1)

        def forward(self, input, hidden):
            hidden = torch.tanh(self.i2h(torch.cat((input, hidden), 1)))
            return self.softmax(self.h2o(hidden)), hidden

        def initHidden(self):
            return torch.zeros(1, self.hidden_size)

    def lineToTensor(line):
        tensor = torch.zeros(len(line), 1, 26)
        for li, letter in enumerate(line):
            tensor[li][0][ord(letter) - 97] = 1
        return tensor

    rnn, criterion, losses = start.same(RNN(26, 8, 3)), nn.NLLLoss(), []
    for category, line in enumerate(["satoshi", "jones", "abl"]):
        hidden, line_tensor = rnn.initHidden(), lineToTensor(line)
        rnn.zero_grad()
        for i in range(line_tensor.size()[0]):
            output, hidden = rnn(line_tensor[i], hidden)
        loss = criterion(output, torch.tensor([category], dtype=torch.long))
        loss.backward()
        for p in rnn.parameters():
            p.data.add_(p.grad.data, alpha=-0.05)
        top_n, top_i = output.topk(1)
        losses += [loss.item(), top_i[0].item(), top_n]
    cell, gru = start.same(nn.LSTMCell(26, 4)), start.same(nn.GRUCell(4, 4))
    state = (torch.zeros(1, 4), torch.zeros(1, 4))
    for letter in line_tensor:
        state = cell(letter, state)
        h = gru(state[0], state[1])
    h.sum().backward()
    return [*losses, h, cell.weight_ih.grad]


@program
def own_functions(torch, nn, start):
    Function = importlib.import_module(torch.__name__ + ".autograd").Function

    class LegendrePolynomial3(Function):
        @staticmethod
        def forward(ctx, input):
            ctx.save_for_backward(input)
            return 0.5 * (5 * input**3 - 3 * input)

        @staticmethod
        def backward(ctx, grad_output):
            (input,) = ctx.saved_tensors
            return grad_output * 1.5 * (5 * input**2 - 1)

    class LinearFunction(Function):
        @staticmethod
        def forward(ctx, input, weight, bias=None):
            ctx.save_for_backward(input, weight, bias)
            output = input.mm(weight.t())
            if bias is not None:
                output += bias.unsqueeze(0).expand_as(output)
            return output

        @staticmethod
        def backward(ctx, grad_output):
            input, weight, bias = ctx.saved_tensors
            grad_input = grad_weight = grad_bias = None
            if ctx.needs_input_grad[0]:
                grad_input = grad_output.mm(weight)
            if ctx.needs_input_grad[1]:
                grad_weight = grad_output.t().mm(input)
            if bias is not None and ctx.needs_input_grad[2]:
                grad_bias = grad_output.sum(0)
            return grad_input, grad_weight, grad_bias

    class SignSTE(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, bound):
            ctx.mask, ctx.bound = x.abs() <= bound, bound
            return x.sign()

        @staticmethod
        def backward(ctx, g):
            return g * ctx.mask, None

    x = torch.linspace(-math.pi, math.pi, 50, dtype=torch.double)
    y = torch.sin(x)
    a, b, c, d = (torch.full((), v, requires_grad=True) for v in (0.0, -1.0, 0.0, 0.3))
    P3, losses = LegendrePolynomial3.apply, []
    for _ in range(4):
        y_pred = a + b * P3(c + d * x)
        loss = (y_pred - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for p in (a, b, c, d):
                p -= 1e-3 * p.grad
                p.grad = None
        losses.append(loss.item())
    assert f"Result: y = {a.item()} + {b.item()} * P3({c.item()})"
    X, W, B = start.normal(4, 3).requires_grad_(), nn.Parameter(start.normal(2, 3)), nn.Parameter(start.normal(2))
    assert torch.autograd.gradcheck(LinearFunction.apply, (X, W, B), eps=1e-6, atol=1e-4)
    out = SignSTE.apply(LinearFunction.apply(X, W, B), 1.0)
    out.pow(2).sum().backward()
    return [*losses, out, X.grad, W.grad, B.grad]


@program
def gradient_penalty(torch, nn, start):
    def mlp(*sizes):
        layers = []
        for i in range(len(sizes) - 1):
            layers += [nn.Linear(sizes[i], sizes[i + 1]), nn.Softplus() if i % 2 else nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers[:-1])

    G, D = start.same(mlp(3, 8, 2)), start.same(mlp(2, 8, 6, 1))
    optD = torch.optim.Adam(D.parameters(), lr=1e-2, betas=(0.0, 0.9))
    optG, losses = torch.optim.RMSprop(G.parameters(), lr=1e-3), []
    one = torch.tensor(1, dtype=torch.float)
    for step in range(4):
        for p in D.parameters():
            p.requires_grad_(True)
        real, z = start.normal(5, 2), start.normal(5, 3)
        with torch.no_grad():
            fake = G(z)
        alpha = torch.sigmoid(start.normal(5, 1)).expand(real.size())
        interpolates = (alpha * real + ((1 - alpha) * fake)).requires_grad_(True)
        disc = D(interpolates)
        gradients = torch.autograd.grad(
            outputs=disc,
            inputs=interpolates,
            grad_outputs=torch.ones(disc.size()),
            create_graph=True,
            retain_graph=True,
            only_inputs=True,
        )[0]
        gp = ((gradients.norm(2, dim=1) - 1) ** 2).mean() * 10
        loss = D(fake).mean() - D(real).mean() + gp
        optD.zero_grad()
        loss.backward()
        optD.step()
        for p in D.parameters():
            p.requires_grad_(False)
        optG.zero_grad()
        cost = -D(G(z)).mean()
        cost.backward(one.double())
        optG.step()
        losses += [loss.item(), gp.item(), cost.item()]
    return losses


@program
def resumed_training(torch, nn, F, start):
    data = importlib.import_module(torch.__name__ + ".utils.data")

    class Points(data.Dataset):
        def __init__(self, x, y, transform=None):
            self.x, self.y, self.transform = x, y, transform

        def __len__(self):
            return len(self.x)

        def __getitem__(self, idx):
            if torch.is_tensor(idx):
                idx = idx.tolist()
            x = self.x[idx]
            return {"x": self.transform(x) if self.transform else x, "y": int(self.y[idx])}

    class Net(nn.Module):
        def __init__(self):
            super(Net, self).__init__()
            self.fc = nn.ModuleList([nn.Linear(4, 6), nn.Linear(6, 3)])
            self.scale: torch.Tensor
            self.register_buffer("scale", torch.tensor(2.0), persistent=False)

        def forward(self, x):
            return self.fc[-1](F.relu(self.fc[0](x))) * self.scale

    def build():
        net = Net()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        return net, optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=0)

    net, optimizer, scheduler = build()
    start.same(net)
    loader = data.DataLoader(
        Points(start.normal(10, 4), start.below(3, 10), lambda x: x * 2), batch_size=4, drop_last=True, num_workers=0
    )
    losses, best = [], float("inf")
    for epoch in range(4):
        total = 0.0
        for i, batch in enumerate(loader, 0):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            total += loss.item() * batch["x"].size(0)
        scheduler.step(total)
        losses.append(total)
        file = io.BytesIO()
        state = {
            "epoch": epoch + 1,
            "model": net.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
        }
        torch.save({**state, "best": min(best, total), "losses": losses}, file)
        file.seek(0)
        checkpoint = torch.load(file, map_location=torch.device("cpu"), weights_only=True)
        net, optimizer, scheduler = build()
        net.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        scheduler.load_state_dict(checkpoint["scheduler"])
        best, losses = checkpoint["best"], checkpoint["losses"]
    return [*losses, best, optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_same_program_same_losses(function):
    check_program(function)


IDIOMS = {
    "imports": "import LIB.backends.cudnn as cudnn; from LIB.optim.lr_scheduler import _LRScheduler; from LIB import Tensor; cudnn.benchmark = True",
    "compile": "f = torch.compile(torch.nn.Linear(2, 2), disable=True); result = f(torch.zeros(1, 2)).shape",
    "decorated": "f = torch.compile(fullgraph=True, disable=True)(lambda x: x + 1); result = f(torch.ones(2))",
    "precision": "torch.set_float32_matmul_precision('high'); result = torch.get_float32_matmul_precision() == 'high'",
    "formats": "result = torch.zeros_like(torch.ones(2, 2), memory_format=torch.preserve_format).to(memory_format=torch.contiguous_format)",
    "constants": "result = torch.tensor([torch.pi, torch.e, torch.inf])",
    "variable": "result = torch.autograd.Variable(torch.ones(2), requires_grad=True).requires_grad",
    "old types": "result = torch.ones(2).type(torch.LongTensor)",
    "in place": "x = torch.zeros(2); torch.exp_(x); torch.clamp_(x, max=0.5); result = x",
    "where": "x = torch.ones(2); result = (x.is_cpu, x.is_cuda, x.get_device())",
    "forked": "a = torch.get_rng_state()\nwith torch.random.fork_rng(): torch.manual_seed(1)\nresult = bool((a == torch.get_rng_state()).all())",
    "diagonal": "result = torch.zeros(3, 5).fill_diagonal_(2)",
    "wrapped": "result = torch.zeros(9, 2).fill_diagonal_(2, wrap=True)",
    "cube": "result = torch.zeros(3, 3, 3).fill_diagonal_(2)",
    "accelerator": "a = torch.accelerator; result = (a.is_available(), a.current_accelerator() is None, a.device_count())",
    "scripted": "import LIB.jit; result = torch.jit.script(torch.nn.ReLU())(torch.tensor([-1.0, 2.0]))",
    "scripting": "f = torch.jit.ignore(lambda x: x + 1); result = f(1) + torch.jit.unused(f)(1) + torch.jit.is_scripting()",
    "threads": "torch.set_num_threads(1); result = torch.get_num_threads()",
    "random module": "import LIB.random; torch.random.manual_seed(3); result = LIB.random.initial_seed()",
    "default device": "torch.set_default_device('cpu'); result = torch.get_default_device().type == 'cpu'; torch.set_default_device(None)",
    "stateless": """
from LIB.nn.utils.stateless import functional_call
layer = torch.nn.Linear(2, 1)
result = functional_call(layer, {'weight': torch.ones(1, 2), 'bias': torch.ones(1)}, (torch.ones(3, 2),)).detach()
""",
    "types": """
tensors = torch.ones(2), torch.ones(2).double(), torch.ones(2).long(), torch.ones(2) > 0
result = [[isinstance(t, getattr(torch, name + 'Tensor')) for name in ('Float', 'Double', 'Long', 'Bool')] for t in tensors]
""",
    "default type": """
before, given = torch.get_default_dtype(), []
for kind in (torch.DoubleTensor, 'torch.FloatTensor', 'torch.DoubleTensor'):
    torch.set_default_tensor_type(kind)
    given.append(torch.zeros(1).dtype == torch.float64)
torch.set_default_dtype(before)
result = given
""",
    "shared": "x = torch.ones(2); result = (x.share_memory_() is x, torch.nn.Linear(2, 2).share_memory().training)",
    "layout": "x = torch.ones(2, 3); result = (x.layout == torch.strided, x.T.is_contiguous(), x.is_contiguous())",
    "channels last": """
x = torch.ones(2, 3, 4, 5)
rows, columns = x, x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
result = [y.is_contiguous(memory_format=f) for y in (rows, columns, x[0]) for f in (torch.channels_last, torch.contiguous_format)]
""",
    "no initial values": "m = torch.nn.utils.skip_init(torch.nn.Linear, 3, 2, bias=False); result = (*m.weight.shape, m.bias is None)",
    "places of layers": """
import LIB.nn.modules.pixelshuffle, LIB.nn.modules.channelshuffle
from LIB.nn.modules.activation import MultiheadAttention
names = torch.nn.modules.pixelshuffle.PixelShuffle, torch.nn.modules.pixelshuffle.PixelUnshuffle, MultiheadAttention
result = names == (torch.nn.PixelShuffle, torch.nn.PixelUnshuffle, torch.nn.MultiheadAttention)
""",
    "vmap": "result = torch.vmap(lambda x: x * 2)(torch.ones(3))",
}


@pytest.mark.parametrize("name", IDIOMS)
@pytest.mark.filterwarnings("ignore:.torch.(jit.script|nn.utils.stateless).*deprecated", "ignore:torch.set_default_tensor_type")
def test_same_idiom_same_result(name):
    results = []
    for library in ("torch", "tinygrad_lite"):
        names = {}
        exec(f"import {library} as torch\n" + IDIOMS[name].replace("LIB", library), names)
        results.append(names.get("result", 0))
    np.testing.assert_allclose(*results)
