"""Programs that differentiate their own gradients, or model densities: the losses are equal step by step."""

# ruff: noqa: RUF005 (the programs are written as public ones are)

from __future__ import annotations

import math

import pytest

from tests.parity.programs import check_program

PROGRAMS = []


def program(function):
    PROGRAMS.append(function)
    return function


@program
def critic_with_a_gradient_penalty(torch, nn, start):
    class Critic(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Conv2d(1, 4, 4, 2, 1, bias=False),
                nn.InstanceNorm2d(4, affine=True),
                nn.LeakyReLU(0.2, inplace=True),
                nn.utils.spectral_norm(nn.Conv2d(4, 1, 4, 1, 0)),
            )

        def forward(self, x):
            return self.net(x).view(-1)

    generator = nn.Sequential(
        nn.ConvTranspose2d(3, 4, 4, 1, 0, bias=False), nn.BatchNorm2d(4), nn.ReLU(True), nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Tanh()
    )
    generator, critic = start.same(generator), start.same(Critic())
    of_generator = torch.optim.Adam(generator.parameters(), 1e-3, betas=(0.0, 0.9))
    of_critic = torch.optim.RMSprop(critic.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        real = start.normal(2, 1, 8, 8)
        for p in critic.parameters():
            p.requires_grad = True
        critic.zero_grad()
        fake = generator(start.normal(2, 3, 1, 1)).detach()
        epsilon = torch.from_numpy(start.rng.random((2, 1, 1, 1))).expand(real.size())
        between = torch.autograd.Variable(epsilon * real + (1 - epsilon) * fake, requires_grad=True)
        score = critic(between)
        gradients = torch.autograd.grad(
            outputs=score,
            inputs=between,
            grad_outputs=torch.ones(score.size()),
            create_graph=True,
            retain_graph=True,
            only_inputs=True,
        )[0]
        gradients = gradients.view(gradients.size(0), -1)
        penalty = ((gradients.norm(2, dim=1) - 1) ** 2).mean() * 10
        loss = critic(fake.view(fake.size())).mean() - critic(real).mean()
        loss.backward(torch.tensor(1.0))
        penalty.backward()
        of_critic.step()
        for p in critic.parameters():
            p.requires_grad = False
        of_generator.zero_grad()
        of_fakes = -critic(generator(start.normal(2, 3, 1, 1))).mean()
        of_fakes.backward()
        of_generator.step()
        losses += [loss.item(), penalty.item(), of_fakes.item()]
    return losses


@program
def coupling_flow(torch, nn, start):
    distributions = torch.distributions

    class Coupling(nn.Module):
        def __init__(self, mask):
            super().__init__()
            self.register_buffer("mask", mask)
            self.scale = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(), nn.Linear(8, 2), nn.Tanh())
            self.shift = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(), nn.Linear(8, 2))

        def forward(self, x):
            kept = x * self.mask
            scale, shift = self.scale(kept) * (1 - self.mask), self.shift(kept) * (1 - self.mask)
            return kept + (1 - self.mask) * (x - shift) * torch.exp(-scale), -scale.sum(dim=1)

        def inverse(self, z):
            kept = z * self.mask
            scale, shift = self.scale(kept) * (1 - self.mask), self.shift(kept) * (1 - self.mask)
            return kept + (1 - self.mask) * (z * torch.exp(scale) + shift)

    class Flow(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(Coupling(torch.tensor(m)) for m in ([0.0, 1.0], [1.0, 0.0]) * 2)
            self.prior = distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))

        def log_prob(self, x):
            log_det = x.new_zeros(x.shape[0])
            for layer in reversed(self.layers):
                x, change = layer(x)
                log_det += change
            return self.prior.log_prob(x) + log_det

    flow = start.same(Flow())
    optimizer = torch.optim.Adam([p for p in flow.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(4):
        x = start.normal(16, 2)
        loss = -flow.log_prob(x).mean()
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        for layer in flow.layers:
            x = layer.inverse(x)
    independent = distributions.Independent(distributions.Normal(torch.zeros(2), torch.ones(2)), 1)
    return losses + [x, independent.log_prob(x)]


@program
def mixture_density_network(torch, nn, start):
    distributions = torch.distributions

    class MixtureDensity(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Sequential(nn.Linear(1, 8), nn.Tanh())
            self.pi = nn.Sequential(nn.Linear(8, 3), nn.Softmax(dim=1))
            self.sigma, self.mu = nn.Linear(8, 3), nn.Linear(8, 3)

        def forward(self, x):
            h = self.hidden(x)
            return self.pi(h), torch.exp(self.sigma(h)), self.mu(h)

    model = start.same(MixtureDensity())
    optimizer = torch.optim.NAdam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(3):
        x, y = start.normal(8, 1), start.normal(8, 1)
        pi, sigma, mu = model(x)
        densities = torch.exp(distributions.Normal(loc=mu, scale=sigma).log_prob(y.expand_as(mu)))
        by_hand = torch.mean(-torch.log(torch.sum(densities * pi, dim=1)))
        mixture = distributions.MixtureSameFamily(distributions.Categorical(pi), distributions.Normal(mu, sigma))
        loss = -mixture.log_prob(y.squeeze(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses += [loss.item(), by_hand.item()]
    return losses


@program
def physics_informed_network(torch, nn, start):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
            self.nu = nn.Parameter(torch.tensor(0.1))
            self.apply(self.initialize)

        @staticmethod
        def initialize(module):
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight.data)
                nn.init.zeros_(module.bias.data)

        def forward(self, x, t):
            return self.net(torch.cat([x, t], dim=1))

    model = start.same(Net())
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5, line_search_fn="strong_wolfe")
    x = torch.linspace(-1, 1, 8).view(-1, 1).requires_grad_(True)
    t = torch.linspace(0, 1, 8)[:, None]
    t.requires_grad = True
    losses = []

    def residual():
        u = model(x, t)
        u_t = torch.autograd.grad(u, t, grad_outputs=torch.ones_like(u), retain_graph=True, create_graph=True)[0]
        u_x = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        u_xx = torch.autograd.grad(u_x, x, torch.ones_like(u_x), create_graph=True)[0]
        return u_t + u * u_x - model.nu * u_xx

    def closure():
        optimizer.zero_grad()
        at_start = model(x, torch.zeros_like(t)) + torch.sin(math.pi * x)
        loss = torch.mean(residual() ** 2) + (at_start**2).mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(3):
        optimizer.step(closure)
    return losses + [model.nu]


@program
def learning_to_learn(torch, nn, F, start):
    class Learner(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.vars = nn.ParameterList()
            for outputs, inputs in config:
                w = nn.Parameter(torch.ones(outputs, inputs))
                torch.nn.init.kaiming_normal_(w)
                self.vars.append(w)
                self.vars.append(nn.Parameter(torch.zeros(outputs)))

        def forward(self, x, vars=None):
            vars = self.vars if vars is None else vars
            for i in range(0, len(vars), 2):
                x = F.linear(x, vars[i], vars[i + 1])
                if i + 2 < len(vars):
                    x = F.relu(x, inplace=True)
            return x

        def parameters(self):
            return self.vars

    net = start.same(Learner([(12, 4), (3, 12)]))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(3):
        of_queries = 0
        for _ in range(2):
            support, query = start.normal(6, 4), start.normal(6, 4)
            of_support, of_query = start.below(3, 6), start.below(3, 6)
            fast = net.parameters()
            for _ in range(3):
                grads = torch.autograd.grad(F.cross_entropy(net(support, fast), of_support), list(fast), create_graph=True)
                fast = [p - 0.1 * g for g, p in zip(grads, fast)]
            of_queries = of_queries + F.cross_entropy(net(query, fast), of_query)
        optimizer.zero_grad()
        (of_queries / 2).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(of_queries.item())
    return losses


@program
def gradients_of_each_sample(torch, nn, F, start):
    model = start.same(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)))
    params = {name: p.detach() for name, p in model.named_parameters()}
    functional_call, grad, jacrev, vmap = (getattr(torch.func, name) for name in ("functional_call", "grad", "jacrev", "vmap"))

    def compute_loss(params, sample, target):
        return F.cross_entropy(functional_call(model, params, (sample.unsqueeze(0),)), target.unsqueeze(0))

    x, y = start.normal(5, 4), start.below(3, 5)
    of_each = vmap(grad(compute_loss), in_dims=(None, 0, 0))(params, x, y)
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in of_each.values()]).norm(dim=0)
    jacobians = vmap(jacrev(lambda p, x: functional_call(model, p, (x.unsqueeze(0),)).squeeze(0)), (None, 0))(params, x)
    kernel = sum(torch.einsum("Naf,Mbf->NMab", j, j) for j in (j.flatten(2) for j in jacobians.values()))
    ensemble, _ = torch.func.stack_module_state([start.same(nn.Linear(4, 2)) for _ in range(3)])
    predictions = vmap(lambda p, x: F.linear(x, p["weight"], p["bias"]), in_dims=(0, None))(ensemble, x)
    return [*of_each.values(), norms, kernel, predictions]


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_same_program_same_losses(function):
    check_program(function)
