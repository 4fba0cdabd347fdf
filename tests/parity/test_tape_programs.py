"""Short programs about the tape: both libraries record the same in `log`."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest

import tinygrad_lite
import tinygrad_lite.nn

torch = pytest.importorskip("torch")


class Identity:
    """Functions that return their input, or a view of it, and one that changes it."""

    def __init__(self, m):
        class AsItIs(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x

            @staticmethod
            def backward(ctx, g):
                return g * 3

        class View(AsItIs):
            @staticmethod
            def forward(ctx, x):
                return x.view(-1)

        class Tripled(AsItIs):
            @staticmethod
            def forward(ctx, x):
                x.mul_(3)
                ctx.mark_dirty(x)
                return x

        class TripledSaved(AsItIs):
            @staticmethod
            def forward(ctx, x):
                x.mul_(3)
                ctx.mark_dirty(x)
                ctx.save_for_backward(x)
                return x

            @staticmethod
            def backward(ctx, g):
                return g * ctx.saved_tensors[0]

        class Short(AsItIs):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g[:1]

        class Signed(AsItIs):
            @staticmethod
            def forward(ctx, x):
                sign = x.sign()
                ctx.mark_non_differentiable(sign)
                ctx.save_for_backward(sign)
                return x.abs(), sign

            @staticmethod
            def backward(ctx, g, none):
                return g * ctx.saved_tensors[0]

        self.as_it_is, self.view, self.tripled, self.tripled_saved, self.short, self.signed = (
            f.apply for f in (AsItIs, View, Tripled, TripledSaved, Short, Signed)
        )


def log_of(m, text):
    log = []

    def note(*values):
        for value in values:
            if isinstance(value, m.Tensor):
                value = np.array(value.detach().tolist())
                value = (np.round(value, 5) if value.dtype.kind == "f" else value).tolist()
            log.append(value)

    def refused(statement):
        try:
            exec(statement, names)
        except (RuntimeError, TypeError, ValueError) as error:
            log.append("refused")
            error.__traceback__ = None
        else:
            log.append("accepted")

    names = {
        "m": m, "F": m.nn.functional, "nn": m.nn, "func": m.func, "note": note, "refused": refused, "fn": Identity(m), "np": np,
        "checkpoint": importlib.import_module(f"{m.__name__}.utils.checkpoint").checkpoint, "graph": m.autograd.graph,
        "grad": m.autograd.grad, "x": m.tensor([1.0, 2.0], requires_grad=True), "w": m.tensor([3.0, 5.0], requires_grad=True),
        "A": m.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True), "b": m.ones(2, 2),
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(text, names)
    return log


PROGRAMS = {
    "views of leaves": """
refused("A[0].mul_(3)"); refused("A.t().mul_(3)"); refused("A.view(4)[1:][0] = 3"); refused("A[0][1] = 0")
(A * A).sum().backward(); note(A.is_leaf, A.grad)
---
v = b.view(4).requires_grad_(); refused("v[0].mul_(3)"); refused("v[1:][0] = 7."); (v * v).sum().backward(); note(v.is_leaf, v.grad, b.requires_grad)
---
v = b.t().requires_grad_(); b.mul_(2); note(v.requires_grad, v.is_leaf); (v * v).sum().backward(); note(v.grad)
---
v = b.t().requires_grad_(); b[0] = 4.; b.view(4)[1:].add_(1); note(v.requires_grad, v.is_leaf, v); (v * v).sum().backward(); note(v.grad)
---
v = b.t().requires_grad_(); b.mul_(A); note(v.requires_grad, v.is_leaf, b.requires_grad); (v * v).sum().backward(); note(v.grad is None, A.grad)
---
v = b.t().requires_grad_()
with m.no_grad(): v[0].mul_(2); v[1] = 5.
note(v.requires_grad, v.is_leaf, b.requires_grad, b); (v * v).sum().backward(); note(v.grad)
---
with m.no_grad(): A.mul_(2); A[0].add_(1); A.t()[1] = 7.
note(A.is_leaf); (A * A).sum().backward(); note(A.grad)
""",
    "views made under no_grad": """
with m.no_grad(): v = x[:1]
refused("v.mul_(2)"); refused("v.mul_(w[:1])"); (x * x).sum().backward(); note(x.grad)
---
h = x * 2
with m.no_grad(): v = h[:1]
refused("v.mul_(2)"); refused("v[0] = 3.")
with m.no_grad(): v.mul_(2)
note(h, h.requires_grad)
""",
    "views returned together": """
h = A * 2; r, s = m.unbind(h); refused("r.mul_(2)"); p, q = h.chunk(2); refused("p.mul_(2)"); (h * h).sum().backward(); note(A.grad)
---
r, s = m.unbind(b); r.mul_(2); note(b, b.requires_grad)
---
p, q = m.unbind(x * 1); p.backward(inputs=[p]); note(p.grad); (p * 3 + q).backward(); note(x.grad)
---
p, q = m.unbind(x * 1); note(*grad(p * q, [p, q], retain_graph=True)); note(*grad(p * q, [q]))
""",
    "tensors of integers": """
k = m.zeros(2, dtype=m.int64); k[:] = w; note(k, k.requires_grad); k.copy_(w); note(k.requires_grad); k[0] = w[1]; note(k, k.requires_grad, k.is_leaf)
---
k = m.zeros(2, dtype=m.bool); k[0] = w[0]; k.copy_(w); k[:1].copy_(w[:1]); k.view(2)[1] = w[0]; note(k, k.requires_grad)
---
k = m.zeros(2); k[:] = w; note(k.requires_grad); k.sum().backward(); note(w.grad)
""",
    "retained gradients": """
h = x * 2; h.retain_grad(); h.mul_(10); (h * h).sum().backward(); note(h.grad, x.grad)
---
h = x * 2; h.mul_(10); h.retain_grad(); h.mul_(5); h.retain_grad(); (h * h).sum().backward(); note(h.grad, x.grad)
---
h = x * 2; v = h[0]; h.retain_grad(); v.retain_grad(); v.mul_(10); (h * h).sum().backward(); note(h.grad, v.grad is None, x.grad)
---
h = x * 2; v = h[0]; h.retain_grad(); v.retain_grad(); h.mul_(10); (h * h).sum().backward(); note(h.grad, v.grad is None, x.grad)
---
h = x * 2; v = h[0]; v.retain_grad(); h.mul_(10); (v * v).sum().backward(); note(v.grad, x.grad)
---
h = x * 2; h.retain_grad(); h[0] = 5; (h * h).sum().backward(); note(h.grad, x.grad)
---
h = x * 2; h.retain_grad(); v = h[:1]; v.mul_(3); (v * v).sum().backward(); note(h.grad, x.grad)
---
h = x * 2; v = h.view(2, 1); v.retain_grad(); u = v.t(); u.mul_(4); u[0, 0] = w[0]; (v * v).sum().backward(); note(v.grad, x.grad, w.grad)
---
h = x * 2; h.retain_grad(); h.zero_(); h.add_(w); (h * h).sum().backward(); note(h.grad, w.grad)
---
h = x * 2; h.register_hook(lambda g: note(g)); h.mul_(10); h.register_hook(lambda g: g * 2); h.retain_grad(); (h * h).sum().backward(); note(h.grad, x.grad)
---
h = x * 2; h.retain_grad(); h.sum().backward(retain_graph=True); (h * 3).sum().backward(); note(h.grad)
---
h = x * 2; y = h * 3; h.retain_grad(); h.detach_(); note(h.requires_grad, h.is_leaf); y.sum().backward(); note(h.grad)
""",
    "requires_grad switched": """
y = w * 2; w.requires_grad_(False); y.sum().backward(); note(w.grad is None)
---
y = w * 2; w.detach_(); y.sum().backward(); note(w.grad is None, w.requires_grad)
---
y = w * 2; w.requires_grad = False; w.requires_grad = True; y.sum().backward(); note(w.grad)
---
y = w * 2; w.requires_grad_(False); w.requires_grad_(); note(*grad(y.sum(), w))
---
y = w * 2; w.requires_grad_(False); refused("grad(y.sum(), w)"); w.requires_grad_(); (w * w).sum().backward(); note(w.grad)
---
w.register_hook(lambda g: g * 10); w.requires_grad_(False); w.requires_grad_(True); (w * w).sum().backward(); note(w.grad)
---
h = x * 2; refused("h.requires_grad_(False)"); refused("h.requires_grad = False"); h.requires_grad_(); h.sum().backward(); note(x.grad)
---
lin = nn.Linear(2, 1, bias=False); y = lin(x); lin.requires_grad_(False); y.sum().backward(); note(lin.weight.grad is None, x.grad is None)
""",
    "leaves that were dropped": """
x.register_post_accumulate_grad_hook(lambda p: note(p.grad)); h = x * 1; del x; h.sum().backward()
---
x.register_post_accumulate_grad_hook(lambda p: note(p.grad, p.requires_grad, p.is_leaf)); handle = w.register_post_accumulate_grad_hook(lambda p: note(0)); handle.remove(); h = x * w; del x, w; h.sum().backward()
---
x.register_post_accumulate_grad_hook(lambda p: note(p.grad)); h = x * 1; del x
for i in range(3): (h * h).sum().backward(retain_graph=True)
---
x.register_hook(lambda g: note(g)); h = x * 1; del x; h.sum().backward()
---
h = x * 1; del x; f = lambda y: (y**3).sum(); note(func.hessian(f)(h), func.jacfwd(func.grad(f))(h), func.jacrev(func.grad(f))(h), func.jacrev(func.jacfwd(f))(h), func.jacfwd(func.jacfwd(f))(h), func.grad(f)(h).requires_grad)
---
h = x * 1; del x; f = lambda y: (y**3).sum(); note(func.jvp(func.grad(f), (h,), (m.ones(2),))[1], func.jvp(lambda z: func.jvp(f, (z,), (m.ones(2),))[1], (h,), (m.ones(2),))[1])
---
h = x * 1; del x; f = lambda y: (y**3).sum(); note(func.grad(lambda z: func.vjp(f, z)[1](m.tensor(2.))[0].sum())(h), func.vjp(func.grad(f), h)[1](m.ones(2))[0], func.vmap(func.grad(f))(h.expand(3, 2)))
---
net = nn.Sequential(nn.Linear(2, 2), nn.Tanh()); torch_like = net[0]
with m.no_grad(): net[0].weight.copy_(b + m.tensor([[0.5, 0.], [0., 0.]])); net[0].bias.zero_()
h = net(m.tensor([[0.1, 0.2]])); del net, torch_like; note(func.hessian(lambda y: (y**3).sum())(h))
""",
    "transforms": """
note(func.jacrev(lambda z: z**2)(m.tensor(3.)), func.jacfwd(lambda z: z**2)(m.tensor(3.)), func.hessian(lambda z: z**2)(m.tensor(3.)), func.jacrev(lambda z: z * x.detach())(m.tensor(3.)), func.jacfwd(lambda z: z * x.detach())(m.tensor(3.)))
---
f = lambda y: (y**3).sum(); y = x.detach(); note(func.grad(f)(y).requires_grad, func.hessian(f)(y).requires_grad, func.jacfwd(func.jacfwd(f))(y).requires_grad, func.jvp(f, (y,), (y,))[1].requires_grad, func.vjp(f, y)[0].requires_grad)
---
g = func.grad(lambda z: (z * z * w[0]).sum())(m.ones(2)); note(g, g.requires_grad); g.sum().backward(); note(w.grad)
---
g = func.grad(lambda z: (z * z * w).sum())(x * 1); g.sum().backward(); note(x.grad, w.grad)
---
note(func.grad(lambda a: a * func.grad(lambda c: a * c * c)(a * 2))(m.tensor(3.)), func.grad(lambda a: func.grad(lambda c: a + c)(m.tensor(1.)) * a)(m.tensor(3.)))
---
note(func.grad(lambda a: func.jacrev(lambda c: a * c)(m.ones(2)).sum())(m.tensor(3.)), func.jacrev(lambda a: func.jacfwd(lambda c: a * c * c)(a))(m.tensor([1., 2.])))
---
c = m.zeros(2)
def f(z): c.add_(z); return (c * z).sum()
refused("func.grad(f)(m.ones(2))"); note(c, c.requires_grad)
def f(z): c[0] = z[1]; return (c * z).sum()
refused("func.jacrev(f)(m.ones(2))"); note(c, c.requires_grad)
---
def f(z): c = m.zeros(2); c[0] = z[1]; c[1].add_(z[0]); return (c * z).sum()
note(func.grad(f)(m.ones(2)), func.hessian(f)(m.ones(2)))
---
def f(z): c = m.zeros(2); c[0] = z[1]; v = c[1:]; v.mul_(2).add_(z[:1]); return v, (c[:], c)
note(func.jacrev(lambda z: f(z)[1][0])(m.ones(2)), func.vjp(f, m.ones(2))[0][0])
---
h = x * 1; refused("func.grad(lambda y: y.mul_(2).sum())(h)"); note(h, h.requires_grad)
---
h = x * 1
def f(y): y[0] = 7.; raise ValueError
refused("func.vjp(func.grad(f), h)"); refused("func.jacrev(lambda y: y[:1].mul_(2).sum())(h)"); note(h, h.requires_grad)
""",
    "Functions that return their input": """
h = x * 2; y = fn.as_it_is(h); refused("y.mul_(2)"); h.mul_(3); refused("y.sum().backward()")
---
h = x * 2; y = fn.view(h); refused("y.mul_(2)"); h.mul_(3); refused("y.sum().backward()")
---
h = x * 2; y = fn.as_it_is(h); (y * h).sum().backward(); note(x.grad, y is h)
---
y = fn.as_it_is(x); refused("y.mul_(2)"); y.sum().backward(); note(x.grad, x.is_leaf)
---
h = (x * 2).detach(); y = fn.as_it_is(h); note(y is h, y.requires_grad); y.mul_(2); note(h)
---
with m.no_grad(): y = fn.as_it_is(x)
note(y is x, y.requires_grad)
---
for change in ("y[0].mul_(2)", "y[None, 0].mul_(2)", "y[:1] *= 2", "y.view(-1).mul_(2)", "y[None][0] = 2", "y.narrow(0, 0, 1).zero_()"):
    y = fn.as_it_is(x); refused(change); note(x); (x * y).sum().backward(); note(x.grad); x.grad = None
---
layer = nn.Identity(); layer.register_full_backward_hook(lambda *a: None)
for change in ("y[0].mul_(2)", "y.view(-1).mul_(2)", "y[:1] *= 2"):
    y = layer(x); refused(change); note(x); (x * y).sum().backward(); note(x.grad); x.grad = None
""",
    "Functions that change their input": """
h = x * 2; y = fn.tripled(h); note(y is h); (h * h).sum().backward(); note(x.grad)
---
h = A * 2; v = h[:, :1]; u = h[1]; y = fn.tripled(v); note(y is v); (h * h).sum().backward(retain_graph=True); note(A.grad); A.grad = None; (u * u).sum().backward(); note(A.grad)
---
h = A * 2; v = h.t(); fn.tripled(v); fn.tripled(h); (v * v).sum().backward(); note(A.grad)
---
h = x * 2; y = fn.tripled_saved(h); y.sum().backward(); note(x.grad)
---
h = x * 2; s = h * h; fn.tripled(h); refused("s.sum().backward()")
---
refused("fn.tripled(x)")
---
refused("fn.tripled(A[0])")
---
c = m.ones(2); v = c[:1]; y = fn.tripled(v); note(y is v, c, c.requires_grad)
---
with m.no_grad(): y = fn.tripled(x)
note(y is x, y.requires_grad, y.is_leaf)
---
refused("fn.short(x).sum().backward()"); note(x.grad is None)
""",
    "Functions with results that have no gradient": """
y, sign = fn.signed(x - 1.5); note(sign, sign.requires_grad, sign.is_leaf); (g,) = grad(y.sum(), x, create_graph=True); note(g, g.requires_grad)
---
y, sign = fn.signed(x - 1.5); (y * sign).sum().backward(); note(x.grad)
---
h = x * 2
with m.no_grad(): y = fn.tripled(h)
refused("y.mul_(2)"); note(h, y.requires_grad)
""",
    "module hooks": """
for layer in (nn.Identity(), nn.Flatten(0), nn.Dropout(0.5).eval(), nn.ReLU()):
    h = x * 3; layer.register_full_backward_hook(lambda *a: None); y = layer(h); refused("y.mul_(2)"); refused("h.mul_(3)"); refused("y.sum().backward()")
---
layer = nn.ReLU(inplace=True); layer.register_full_backward_hook(lambda *a: None); h = x * 3; refused("layer(h)"); (h * h).sum().backward(); note(x.grad)
---
layer = nn.Identity(); layer.register_full_backward_pre_hook(lambda mod, g: (g[0] * 2,)); h = x * 3; y = layer(h); (y * y).sum().backward(); note(x.grad)
""",
    "checkpoints and packed tensors": """
def f(x): h = x * x; h.mul_(3); h.add_(x); h[0] = x[1] * 2; h.mul_(x); v = h[1:]; v.mul_(x[:1]); h.clamp_(0.1); return h * x
y = checkpoint(f, x, use_reentrant=False); y.sum().backward(); note(x.grad)
---
def f(x): h = x.exp(); y = h * 1; h.mul_(3); return y.sum() + h.sum()
y = checkpoint(f, x, use_reentrant=False); y.backward(); note(x.grad)
---
with graph.saved_tensors_hooks(lambda a: a.clone() * 2, lambda a: a / 2):
    h = x * x; h.mul_(x); h.exp_(); h.mul_(x); h[0] = 3. * x[0]; v = h[1:]; v.mul_(x[:1]); h.tanh_(); h.relu_(); h.sigmoid_(); h.div_(w); h.pow_(2); h.clamp_(0.01)
h.sum().backward(); note(x.grad, w.grad)
""",
    "changes through data": """
k = (x * 2).detach(); y = x * k; k.data[0] = 5.; y.sum().backward(); note(x.grad)
---
k = (x * 2).detach(); y = x * k; k.detach()[0] = 5.; refused("y.sum().backward()")
---
z = x.data; y = z * w; z.mul_(4); refused("y.sum().backward()")
---
z = x.data; y = x * w; z.mul_(4); y.sum().backward(); note(w.grad)
---
z = x.detach().data; y = z * w; x.detach().mul_(4); y.sum().backward(); note(w.grad)
---
z = x.data[:]; y = z * w; x.data.mul_(4); y.sum().backward(); note(w.grad)
---
x.data.mul_(2); x.data[0] = 7.; x.data = x.data + 1; (x * x).sum().backward(); note(x, x.grad, x.is_leaf)
---
h = x * 2; h.data.mul_(3); h.data = h.data - 1; (h * h).sum().backward(); note(h, x.grad)
""",
    "hooks of what is differentiated": """
h = x**3; h.retain_grad(); h.register_hook(lambda g: note(g)); h.backward(m.ones(2), retain_graph=True, inputs=[w]); note(h.grad)
---
h = x**3; h.register_hook(lambda g: g * 2); note(*grad(h.sum(), h)); h.backward(m.ones(2), inputs=[h]); note(h.grad)
---
h = x**3; h.retain_grad(); h.sum().backward(create_graph=True); h.sum().backward(); note(h.grad, h.grad.requires_grad, x.grad, x.grad.requires_grad)
---
h = x**3; h.sum().backward(inputs=[h], retain_graph=True); note(h.grad); (h * 2).sum().backward(inputs=[x, h]); note(h.grad, x.grad)
---
refused("x.register_post_accumulate_grad_hook(lambda p: p.grad); x.sum().backward()")
""",
    "hooks where a backward is refused": """
h = x[:]; h.retain_grad(); h.register_hook(lambda g: note(g)); (h * 0.5).mean().backward(); note(h.grad, x.grad)
---
h = x * x; y = h * 1; y.register_hook(lambda g: g * 2); h.sum().backward(); refused("y.sum().backward()"); note(x.grad)
""",
    "what backward was through already": """
h = x.sum(); h.backward(); h.backward(); note(x.grad); h = x.t().reshape(1, 2)[0].mean(0); h.backward(); h.backward(); note(x.grad)
---
h = x[m.tensor([0])].sum(); h.backward(); refused("h.backward()"); h = (x * 2).sum(); h.backward(); refused("h.backward()"); note(x.grad)
---
h = x * x; y = h * h; h.sum().backward(); note(*grad(y.sum(), h)); refused("y.sum().backward()")
---
h = x * x; y = h * h; note(*grad(y.sum(), h)); refused("grad(y.sum(), h)"); h.sum().backward(); note(x.grad)
---
s = m.tensor(2., requires_grad=True)
for i in range(4): (s**3).backward(create_graph=i < 2); note(s.grad)
---
s = m.tensor(2., requires_grad=True)
for i in range(3): (s**3).backward()
note(s.grad); g = s.grad; (s * g).backward(); note(s.grad)
---
refused("grad((x * 2).sum(), [x, w], allow_unused=False, materialize_grads=True)"); note(*grad((x * 2).sum(), [x, w], materialize_grads=True))
""",
    "views in place under no_grad": """
h = x * x; v = h.view(2)
with m.no_grad(): v.unsqueeze_(1)
note(list(v.shape), v.requires_grad); (v * v).sum().backward(); note(x.grad)
---
h = A * 2; v = h[0]
with m.no_grad(): v.unsqueeze_(0); v.t_()
note(list(v.shape)); (v * m.tensor([[1.], [2.]])).sum().backward(); note(A.grad)
---
with m.no_grad(): A.t_(); A.unsqueeze_(0)
(A * m.tensor([[1., 2.], [3., 4.]])).sum().backward(); note(A.grad, A.is_leaf)
---
h = A * 2; h.t_(); v = h.view(-1) if h.is_contiguous() else h.t().view(-1); v.unsqueeze_(0); v.mul_(m.tensor([[1., 2., 3., 4.]])); h.squeeze_(); (h * h).sum().backward(); note(A.grad)
""",
    "new data": """
h = A * 2; v = h[0]; w = h[1]
v.data = m.tensor([5., 6.])
w.mul_(3); (v * v).sum().backward(); note(A.grad, h, v)
---
h = A * 2; v = h[0]
v.data = m.tensor([5., 6.])
v.mul_(3); (v * v).sum().backward(); note(A.grad, h, v)
---
h = A * 2; v = h[0]
h.data = m.tensor([[5., 6.], [7., 8.]])
h[1] = 0; (h * h).sum().backward(); note(A.grad, h, v)
---
h = m.zeros(4); v = h[1:]
h.data = m.zeros(2, 2); v += 1; h += 2; note(h, v)
---
h = m.zeros(4); v = h[1:]
h.data = h.data.view(2, 2); v += 1; h *= 2; note(h, v)
""",
    "single elements": """
note(str(m.lerp(m.tensor(1.), m.tensor(2.), m.tensor(0.5, dtype=m.float64)).dtype)[-7:])
---
note(str(m.lerp(m.tensor([1.]), m.tensor(2.), m.tensor(0.5, dtype=m.float64)).dtype)[-7:])
---
try: m.tensor(1.)[m.zeros(1, dtype=m.int64)]; note("taken")
except IndexError: note("refused")
""",
    "functions in a checkpoint": """
class Kept(m.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return v * v
    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]
def f(v):
    w = v + 1
    w[0] = 3.
    return Kept.apply(w)
import importlib; importlib.import_module(m.__name__ + ".utils.checkpoint").checkpoint(f, x, use_reentrant=False).sum().backward(); note(x.grad)
""",
}

CASES = [
    pytest.param(text.strip(), id=f"{theme}-{i}") for theme, texts in PROGRAMS.items() for i, text in enumerate(texts.split("---\n"))
]


@pytest.mark.parametrize("text", CASES)
def test_both_note_the_same(text):
    expected = log_of(torch, text)
    assert log_of(tinygrad_lite, text) == expected
    assert expected  # a program that notes nothing shows nothing
