"""`testing.check_op` finds planted faults and says in words what is wrong; of what is sound it says that nothing is."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn, optim
from tinygrad_lite.autograd import NONDIFFERENTIABLE, REGISTRY, Function, primitive
from tinygrad_lite.testing import Report, check_function, check_loss, check_module, check_op, check_optimizer
from tinygrad_lite.testing.diagnosis import difference

draw = np.random.default_rng(0)
X, Y, POSITIVE = draw.standard_normal((3, 4)), draw.standard_normal((3, 4)), draw.uniform(0.5, 2, (3, 4))
SQUARE, ROWS = draw.standard_normal((3, 3)), draw.standard_normal((2, 3))


@pytest.fixture(autouse=True)
def registries():
    """Primitives of one test are unknown to the next."""
    before = [dict(registry) for registry in (REGISTRY, NONDIFFERENTIABLE)]
    yield
    for registry, known in zip((REGISTRY, NONDIFFERENTIABLE), before):
        registry.clear()
        registry.update(known)


FAULTS = []
SOUND = []


def fault(words):
    """Register a function that checks something with a fault, of which the report must contain `words`."""

    def register(function):
        FAULTS.append(pytest.param(function, words, id=function.__name__))
        return function

    return register


def sound(function):
    SOUND.append(pytest.param(function, id=function.__name__))
    return function


def product(x_rule, y_rule):
    @primitive
    def times(x, y):
        return x * y

    times.vjp(x=x_rule, y=y_rule)
    return times


def function_of(forward, backward, save=lambda *args: args):
    """A Function of arrays' Tensors; `backward(g, *saved)`."""

    class Own(Function):
        @staticmethod
        def forward(ctx, *args):
            ctx.save_for_backward(*save(*args))
            return forward(*args)

        @staticmethod
        def backward(ctx, g):
            return backward(g, *ctx.saved_tensors)

    return Own


def checked(op, inputs, **options):
    return check_op(op, inputs, raise_exception=False, **options)


# -- operations --------------------------------------------------------------------------------------


@fault("gradient: the rule for y is wrong by a factor 2 ")
def twice_the_gradient():
    return checked(product(lambda g, y: g * y, lambda g, x: 2 * g * x), (X, Y))


@fault("the rule for x has the wrong sign")
def the_sign():
    return checked(product(lambda g, y: -g * y, lambda g, x: g * x), (X, Y))


@fault("the rule for x lacks the factor y")
def a_factor_left_out():
    return checked(product(lambda g, y: g, lambda g, x: g * x), (X, Y))


@fault("the rule for y has the factor x once too often")
def a_factor_too_often():
    return checked(product(lambda g, y: g * y, lambda g, x: g * x * x), (X, Y))


@fault("the rule for x lacks the factor of the incoming gradient")
def the_incoming_gradient_left_out():
    @primitive
    def squared(x):
        return x * x

    squared.vjp(x=lambda g, x: 2 * x)
    return checked(squared, X)


@fault("the gradient of input 0 is that of input 1")
def two_gradients_exchanged():
    return checked(function_of(lambda x, y: x * y, lambda g, x, y: (g * x, g * y)), (X, Y))


@fault("the gradient of y is missing")
def no_gradient_for_an_input():
    class Product(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(y)
            return x * y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y, None

    return checked(Product, (X, Y))


@fault("the rule for x is zero everywhere")
def a_gradient_of_zeros():
    return checked(product(lambda g, y: 0 * g * y, lambda g, x: g * x), (X, Y))


@fault("wrong by a factor 12: the number of its elements (a sum where a mean is meant?)")
def a_mean_with_the_gradient_of_a_sum():
    return checked(function_of(lambda x: x.mean(), lambda g, x: g * tg.ones_like(x)), X)


@fault("wrong by a factor 1/12: the number of its elements (a mean where a sum is meant?)")
def a_sum_with_the_gradient_of_a_mean():
    return checked(function_of(lambda x: x.sum(), lambda g, x: g * tg.ones_like(x) / x.numel()), X)


def broadcast_product(reduce):
    """A Function that undoes broadcasting itself, by `reduce(gradient, shape)`."""

    class Product(Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            return g * b, reduce(g * a, b.shape)

    return Product


@fault("the gradient of b is wrong by a factor 2 in dims that were broadcast")
def a_factor_in_broadcast_dims_alone():
    return checked(broadcast_product(lambda g, shape: g if g.shape == shape else 2 * g), (X, Y))


@fault("the gradient of b is that of the first slice alone, not the sum, in dims that were broadcast")
def one_slice_instead_of_the_sum():
    return checked(broadcast_product(lambda g, shape: g[0] if g.ndim > len(shape) else g), (X, Y))


@fault("the result is wrong everywhere in dims that were broadcast")
def a_result_that_broadcasts_wrongly():
    def add(x, y):
        return x + y if x.shape == y.shape else x + 2 * y

    return checked(add, (X, Y))


@fault("the gradient of weight is transposed")
def a_transposed_matrix():
    class Product(Function):
        @staticmethod
        def forward(ctx, input, weight):
            ctx.save_for_backward(input, weight)
            return input @ weight

        @staticmethod
        def backward(ctx, g):
            input, weight = ctx.saved_tensors
            return g @ weight.T, g.T @ input

    return checked(Product, (ROWS, SQUARE))


@fault("the gradient of x is wrong at 6 of 12 places, where it is zero: those where x is negative")
def a_branch_without_a_gradient():
    values = np.abs(X) * np.tile([1, -1], 6).reshape(3, 4)
    return checked(lambda x: tg.where(x > 0, x, 0.1 * x.detach()), values)


@fault("the rule for x has the right numbers at the wrong places")
def a_permutation_undone_the_wrong_way():
    @primitive
    def rolled(x):
        return x[[1, 2, 0]]

    rolled.vjp(x=lambda g: g[[1, 2, 0]])
    return checked(rolled, X, order=1)


@fault("the rule for x is nan at 1 of 12 places, first at (0, 0)")
def a_gradient_that_is_nan():
    zero = X.copy()
    zero[0, 0] = 0

    @primitive
    def squared(x):
        return x * x

    squared.vjp(x=lambda g, x: 2 * g * x * x / x)
    return checked(squared, zero, order=1)


@fault("raises NameError")
def a_rule_that_raises():
    return checked(product(lambda g, y: g * other, lambda g, x: g * x), (X, Y))  # noqa: F821


@fault("second derivative: the gradient of input 0, right at order 1, has a derivative by input 0 that is missing; a rule computes it from detached")
def a_rule_of_detached_values():
    return checked(function_of(lambda x: x * x, lambda g, x: 2 * g * x.detach()), X)


@fault("a rule computes it from detached values or NumPy arrays")
def a_rule_in_numpy():
    return checked(function_of(lambda x: x * x, lambda g, x: g * tg.from_numpy(2 * x.detach().numpy())), X)


@fault("has a derivative by input 0 that is wrong by a factor 1/2: is a part of its rule detached")
def a_rule_of_which_a_part_is_detached():
    return checked(function_of(lambda x: x**3, lambda g, x: 3 * g * x * x.detach()), X)


@fault("has a derivative by the incoming gradient that is missing")
def a_rule_that_detaches_the_incoming_gradient():
    return checked(function_of(lambda x: x * x, lambda g, x: 2 * g.detach() * x), X)


@fault("cannot be compared with differences: near these inputs the function has a kink, a jump or nan; choose others")
def a_kink():
    return checked(tg.abs, np.array([0.0, 1.0]))


@fault("cannot be compared with differences: near these inputs the function has a kink, a jump or nan; choose others")
def the_edge_of_a_domain():
    return checked(tg.sqrt, np.array([0.0, 1.0]))


@fault("second derivative: raises RuntimeError: backward: trying to differentiate twice")
def a_function_that_can_be_differentiated_once():
    class Squared(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @tg.autograd.once_differentiable
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    return checked(Squared, X)


@fault("value: the result is wrong by a factor 1/2")
def a_wrong_value():
    return checked(lambda x: x * x / 2, X, reference=np.square)


@fault("the result is wrong at 5 of 12 places, where it is zero: those where input is negative")
def a_wrong_value_in_one_branch():
    return checked(tg.relu, X, reference=lambda x: np.where(x > 0, x, 0.1 * x))


@fault("returns 2 results, the reference 1")
def too_many_results():
    return checked(lambda x: (x, x * 2), X, reference=lambda x: x)


@fault("value: the result has shape (3,) instead of (3, 1)")
def a_wrong_shape():
    return checked(lambda x: x.sum(1), X, reference=lambda x: x.sum(1, keepdims=True))


@fault("dtype: the result is float64 where the inputs are float32")
def a_result_that_is_widened():
    return checked(lambda x: x * tg.tensor([2.0] * 4, dtype=tg.float64), X)


@fault("in place: forward changes x in place")
def an_input_that_is_written_to():
    @primitive
    def doubled(x):
        np.multiply(x, 2, out=x)
        return x.copy()

    doubled.vjp(x=lambda g: 2 * g)
    return checked(doubled, X)


@fault("in place: backward changes the incoming gradient in place")
def an_incoming_gradient_that_is_written_to():
    return checked(function_of(lambda x: x * 2, lambda g, x: g.mul_(2)), X, order=1)


@fault("aliasing: the result shares memory with x and is not declared as a view of it")
def a_view_that_is_not_declared():
    @primitive
    def backwards(x):
        return x[::-1]

    backwards.vjp(x=lambda g: g[::-1])
    return checked(backwards, X, order=1)


@fault("leaks: x is still kept after backward as ctx.x; pass it to ctx.save_for_backward")
def an_input_on_ctx():
    class Squared(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.x = x
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.x

    return checked(Squared, X, order=1)


@fault("leaks: the graph is a reference cycle, which only the garbage collector frees")
def a_hook_that_holds_its_result():
    def squared(x):
        out = x * x
        if out.requires_grad:
            out.register_hook(lambda g: g * tg.ones_like(out))
        return out

    return checked(squared, X)


KEPT = []


@fault("leaks: the graph is kept alive after backward by list 'KEPT' in test_testing_check_op.py")
def a_list_of_results():
    KEPT.clear()

    def squared(x):
        KEPT.append(x * x)
        return KEPT[-1]

    report = checked(squared, X)
    KEPT.clear()
    return report


@fault("leaks: the result's array is kept alive after backward by a list of the program")
def a_list_of_what_forward_computes():
    kept = []

    def forward(x):
        kept.append(x * x)
        return kept[-1]

    return checked(function_of(forward, lambda g, x: 2 * g * x), X)


@fault("saved bytes: x is kept for the gradient of x, which reads no number of it here; leave it out, or name x_shape")
def an_array_kept_for_its_shape():
    @primitive
    def total(x):
        return x.sum()

    total.vjp(x=lambda g, x: g + tg.zeros(x.shape, dtype=tg.float64) if isinstance(g, tg.Tensor) else g + np.zeros(x.shape))
    return checked(total, X, order=1)


@fault("saved bytes: out is kept for the gradient of x")
def an_array_that_no_rule_reads():
    @primitive
    def doubled(x):
        return 2 * x

    doubled.vjp(x=lambda g, out: 2 * g)
    return checked(doubled, X)


@fault("saved bytes: saved tensor 1, (3, 4) float64, is kept for the gradient of")
def a_saved_tensor_that_backward_does_not_read():
    return checked(function_of(lambda x: x * x, lambda g, x, y: 2 * g * x, save=lambda x: (x, x.exp())), X)


@fault("saved bytes: a view of 96 bytes keeps alive an array of 9600")
def a_part_of_a_large_array():
    def save(x):
        return (x, (x.repeat(100, 1) * 1)[:3])

    return checked(function_of(lambda x: x * x, lambda g, x, y: g * (x + y), save=save), X)


@fault("strides: the result is wrong for inputs in Fortran order")
def a_result_in_the_order_of_memory():
    def doubled(x):
        return tg.from_numpy(2 * x.detach().numpy().ravel("K").reshape(x.shape))

    return checked(doubled, X, order=0)


@fault("strides: the gradient of input 0 is wrong for inputs with negative strides")
def a_gradient_that_is_wrong_for_negative_strides():
    def backward(g, x):
        return 2 * g if min(x.array.strides, default=0) < 0 else 3 * g

    return checked(function_of(lambda x: 3 * x, backward), X)


@fault("on empty arrays")
def a_function_that_fails_on_empty_arrays():
    return checked(lambda x: x * float(np.ones(x.shape).max()), X)


@fault("raises IndexError")
def a_function_that_fails_on_0_d_arrays():
    return checked(lambda x: x * x.shape[0] / x.shape[0], X)


@fault("determinism: the result is another in each call with equal inputs")
def a_random_result():
    generator = np.random.default_rng(0)
    return checked(lambda x: x * generator.random(), X)


@fault("determinism: the gradient of input 0 is another in each call")
def a_random_gradient():
    generator = np.random.default_rng(0)
    return checked(function_of(lambda x: 2 * x, lambda g, x: g * (2 + 1e-12 * generator.random())), X)


@fault("the gradient of x is missing")
def a_result_that_is_detached():
    return checked(lambda x: x.detach() * 2, X)


@fault("expected Tensors as results, got ndarray")
def a_result_that_is_no_tensor():
    return checked(lambda x: x.detach().numpy(), X)


# -- modules -------------------------------------------------------------------------------------------


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(tg.tensor([0.5, 1.0, 2.0, 3.0]))

    def forward(self, x):
        return x * self.scale


@fault("names: shift is a Tensor that requires a gradient and not a Parameter")
def a_tensor_that_is_no_parameter():
    class Shifted(Scaled):
        def __init__(self):
            super().__init__()
            self.shift = tg.ones(4, requires_grad=True)

    return checked(Shifted(), X)


@fault("names: layers is a plain list of Modules, which have no names: neither parameters() nor state_dict() has them; use nn.ModuleList")
def a_plain_list_of_layers():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(4, 4), nn.Linear(4, 4)]

        def forward(self, x):
            return self.layers[1](self.layers[0](x).tanh())

    return checked(Deep().double(), X.astype(np.float32))


@fault("names: weights is a plain dict of Parameters, which have no names")
def a_plain_dict_of_parameters():
    class Held(Scaled):
        def __init__(self):
            super().__init__()
            self.weights = {"w": nn.Parameter(tg.ones(4))}

    return checked(Held(), X)


@fault("parameters: unused gets no gradient: forward does not use it, or detaches it")
def a_parameter_that_is_not_used():
    class Wasteful(Scaled):
        def __init__(self):
            super().__init__()
            self.unused = nn.Parameter(tg.ones(4))

    return checked(Wasteful(), X)


@fault("parameters: scale gets no gradient")
def a_parameter_that_is_detached():
    class Frozen(Scaled):
        def forward(self, x):
            return x * self.scale.detach()

    return checked(Frozen(), X)


@fault("state: forward changes mean, which state_dict() does not have: register it as a buffer")
def running_statistics_that_are_no_buffer():
    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = np.zeros(4)

        def forward(self, x):
            if self.training:
                self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0).numpy()
                return x - x.mean(0)
            return x - tg.from_numpy(self.mean).to(x.dtype)

    return checked(Centred(), X)


@fault("train and eval: forward in evaluation changes mean")
def statistics_that_run_in_evaluation():
    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", tg.zeros(4))

        def forward(self, x):
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
            return x - x.mean(0)

    return checked(Centred(), X)


@fault("train and eval: two equal calls in evaluation differ: what is random must ask self.training")
def noise_in_evaluation():
    class Noisy(Scaled):
        def forward(self, x):
            return super().forward(x) + tg.randn(4, dtype=x.dtype)

    return checked(Noisy(), X)


@fault("train and eval: train(False) does not reach inner")
def a_mode_that_does_not_spread():
    class Deaf(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Scaled()

        def forward(self, x):
            return self.inner(x)

        def train(self, mode=True):
            self.training = mode
            return self

    return checked(Deaf(), X)


@fault("state_dict() lacks scale")
def a_state_without_a_parameter():
    class Forgetful(Scaled):
        def state_dict(self, **options):
            return {}

    return checked(Forgetful(), X)


@fault("a module that has loaded the state_dict() of another computes something else: it holds a state that state_dict() does not have")
def a_buffer_that_is_not_saved():
    class Shifted(Scaled):
        def __init__(self):
            super().__init__()
            self.shift = tg.ones(4)

        def forward(self, x):
            return super().forward(x) + self.shift.to(x.dtype)

    return checked(Shifted(), X)


@fault("dtype: the result is float64 where the inputs are float32")
def a_module_that_widens():
    class Shifted(Scaled):
        def forward(self, x):
            return super().forward(x) + tg.ones(4, dtype=tg.float64)

    return checked(Shifted(), X)


@fault("value: the result is wrong by a factor 2")
def a_module_of_another_value():
    class Twice(Scaled):
        def forward(self, x):
            return 2 * super().forward(x)

    return checked(Twice(), X, reference=lambda x, scale: x * scale)


# -- losses --------------------------------------------------------------------------------------------


def reduced(loss, reduction):
    return {"none": lambda: loss, "sum": lambda: loss.sum(), "mean": lambda: loss.mean()}[reduction]()


class Squared(nn.Module):
    """A squared error, whose parts the faults override."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def each(self, input, target):
        return (input - target) ** 2

    def reduced(self, loss):
        return reduced(loss, self.reduction)

    def forward(self, input, target):
        return self.reduced(self.each(input, target))


def squared_with(name):
    """The loss, with a function for `reduced` or `each`."""
    return lambda function: checked(type("Own", (Squared,), {name: function})(), (X, Y))


@fault("reduction='mean' divides the sum by 3, where there are 12 losses")
def a_mean_over_the_batch_alone():
    return squared_with("reduced")(lambda self, loss: loss.sum() / len(loss) if self.reduction == "mean" else reduced(loss, self.reduction))


@fault("reduction='sum' is wrong by a factor 1/2: it is not the sum of what 'none' returns")
def half_a_sum():
    return squared_with("reduced")(lambda self, loss: loss.sum() / 2 if self.reduction == "sum" else reduced(loss, self.reduction))


@fault("reduction='none' returns a number")
def no_loss_for_each():
    return squared_with("reduced")(lambda self, loss: reduced(loss, self.reduction).sum())


@fault("reduction='mean' returns shape (3,), where a number is expected")
def a_mean_of_each_row():
    return squared_with("reduced")(lambda self, loss: loss.mean(1) if self.reduction == "mean" else reduced(loss, self.reduction))


@fault("an unknown reduction is taken without an error")
def any_reduction():
    return squared_with("reduced")(lambda self, loss: loss if self.reduction == "none" else loss.sum() if self.reduction == "sum" else loss.mean())


@fault("targets: with a target of uint8 the loss")
def classes_that_overflow():
    def ranked(input, target, reduction="mean"):
        below = target - 2  # of uint8, 254 for class 0
        return reduced((input - below.to(input.dtype).unsqueeze(1)) ** 2, reduction)

    return check_loss(ranked, (X, np.array([0, 1, 2])), raise_exception=False)


@fault("weight: with weights that are all 1 the loss is wrong by a factor 2")
def weights_that_double():
    def squared(input, target, weight=None, reduction="mean"):
        loss = (input - target) ** 2
        return reduced(loss if weight is None else loss * (1 + weight), reduction)

    return check_loss(squared, (X, Y), raise_exception=False)


@fault("the gradient of input is wrong by a factor")
def a_loss_with_a_wrong_gradient():
    class Half(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x

    return squared_with("each")(lambda self, input, target: Half.apply(input - target))


# -- optimizers ------------------------------------------------------------------------------------------


class Descent(optim.Optimizer):
    """Gradient descent, whose parts the faults override."""

    numbers = ()

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    def update(self, p, g, state, group):
        p -= group["lr"] * g


def descent(**parts):
    return type("Own", (Descent,), parts)


def stepping(change):
    """An Optimizer whose step is `change(self, p, group)` for each parameter with a gradient."""

    def step(self, closure=None):
        with tg.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        change(self, p, group)

    return descent(step=step)


def reference(p, g, state, step):
    return p - 0.1 * g


def optimized(make, **options):
    return checked(make, None, **options)


@fault("equation: step 1 of the parameter of shape (3, 4) is wrong by a factor 2")
def a_step_twice_as_long():
    return optimized(descent(update=lambda self, p, g, state, group: np.subtract(p, 2 * group["lr"] * g, out=p)), reference=reference)


@fault("descent: it climbs a quadratic bowl")
def a_step_the_wrong_way():
    return optimized(descent(update=lambda self, p, g, state, group: np.add(p, group["lr"] * g, out=p)))


@fault("equation: step 2 (those before are right: is something of the state lost?) of the parameter")
def momentum_that_is_lost():
    def momentum(p, g, state, step):
        state["v"] = 0.9 * state.get("v", 0) + g
        return p - 0.1 * state["v"]

    return optimized(Descent, reference=momentum)


@fault("state_dict: a run continued from state_dict() differs from the run itself at its step 1: velocity of the optimizer is not in it")
def momentum_in_an_attribute():
    def change(self, p, group):
        velocity = self.__dict__.setdefault("velocity", {})
        velocity[id(p)] = 0.9 * velocity.get(id(p), 0) + p.grad
        p.sub_(group["lr"] * velocity[id(p)])

    return optimized(stepping(change))


@fault("groups: a parameter moves although its group has lr=0: does it read the group's options?")
def the_default_of_every_group():
    return optimized(descent(update=lambda self, p, g, state, group: np.subtract(p, self.defaults["lr"] * g, out=p)))


@fault("no gradient: a parameter without a gradient moves")
def decay_without_a_gradient():
    def step(self, closure=None):
        with tg.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p.mul_(0.99)
                    if p.grad is not None:
                        p.sub_(group["lr"] * p.grad)

    return optimized(descent(step=step))


@fault("no gradient: raises TypeError")
def none_as_a_gradient():
    def step(self, closure=None):
        with tg.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(group["lr"] * p.grad)

    return optimized(descent(step=step))


@fault("zero gradient: a gradient of zeros makes parameters nan or infinite: is there an eps in the divisor?")
def no_eps():
    def update(self, p, g, state, group):
        p -= group["lr"] * g / np.sqrt((g * g).sum())

    return optimized(descent(update=update, elementwise=False))


@fault("zero gradient: a parameter moves although its gradient has always been zero")
def hidden_weight_decay():
    return optimized(descent(update=lambda self, p, g, state, group: np.subtract(p, group["lr"] * (g + 0.01 * p), out=p)))


@fault("parameters: a step changes the gradient in place")
def a_gradient_that_is_scaled():
    return optimized(stepping(lambda self, p, group: p.sub_(p.grad.mul_(group["lr"]))))


@fault("parameters: a step replaces the parameter's array")
def a_parameter_with_a_new_array():
    def change(self, p, group):
        p.data = p.data - group["lr"] * p.grad

    return optimized(stepping(change))


@fault("parameters: the tape does not know that a step changes the parameter")
def a_change_behind_the_back_of_the_tape():
    def change(self, p, group):
        p.array -= group["lr"] * p.grad.array

    return optimized(stepping(change))


@fault("determinism: two equal runs end with different parameters")
def a_random_step():
    generator = np.random.default_rng(0)
    return optimized(descent(update=lambda self, p, g, state, group: np.subtract(p, group["lr"] * g * generator.random(), out=p)))


@fault("foreach: foreach=True and foreach=False end with different parameters")
def another_equation_for_foreach():
    class Own(Descent):
        def __init__(self, params, lr=0.1, foreach=None):
            optim.Optimizer.__init__(self, params, {"lr": lr, "foreach": foreach})

        def update(self, p, g, state, group):
            p -= group["lr"] * g * (2 if group["foreach"] else 1)

    return optimized(Own)


@fault("construction: raises TypeError")
def an_optimizer_that_cannot_be_made():
    return optimized(descent(__init__=lambda self: None))


@pytest.mark.parametrize("check, words", FAULTS)
def test_a_fault_is_found_and_named(check, words):
    report = check()
    assert isinstance(report, Report) and not report.ok
    assert words in str(report), str(report)


# -- what is sound ----------------------------------------------------------------------------------------


for op, inputs, expected in [
    (tg.mul, (X, Y), np.multiply), (tg.div, (X, POSITIVE), np.divide), (tg.tanh, X, np.tanh), (tg.exp, X, np.exp), (tg.log, POSITIVE, np.log),
    (tg.matmul, (ROWS, SQUARE), np.matmul), (tg.softmax, (X, 1), None), (tg.logsumexp, (X, 1), None), (tg.sum, X, np.sum), (tg.cumsum, (X, 1), np.cumsum),
    (lambda x, y: (x * y).tanh().sum(1), (X, Y), lambda x, y: np.tanh(x * y).sum(1)), (lambda x: x.reshape(4, 3).t(), X, lambda x: x.reshape(4, 3).T),
    (lambda x: (x.max(1)[0], x.min(1)[0]), X, lambda x: (x.max(1), x.min(1))),
]:  # fmt: skip
    SOUND.append(pytest.param(lambda op=op, inputs=inputs, expected=expected: checked(op, inputs, reference=expected), id=getattr(op, "__name__", "")))

for module, inputs in [
    (nn.Linear(4, 2), X), (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), X), (nn.BatchNorm1d(4), X), (nn.LayerNorm(4), X), (nn.Dropout(), X),
    (nn.Conv2d(1, 2, 2), X.reshape(1, 1, 3, 4)), (nn.Embedding(5, 2), np.array([0, 3, 3])), (nn.GRU(4, 2), X.reshape(3, 1, 4)), (nn.LSTM(4, 2), X.reshape(3, 1, 4)),
    (nn.MSELoss(), (X, Y)), (nn.CrossEntropyLoss(), (X, np.array([0, 3, 1]))), (nn.BCEWithLogitsLoss(), (X, (Y > 0) * 1.0)), (nn.HuberLoss(), (X, Y)),
    (nn.KLDivLoss(), (X, POSITIVE)), (Scaled(), X), (Squared(), (X, Y)),
]:  # fmt: skip
    SOUND.append(pytest.param(lambda module=module, inputs=inputs: checked(module, inputs), id=type(module).__name__))

for optimizer, options in [
    (optim.SGD, {"lr": 0.1}), (optim.SGD, {"lr": 0.05, "momentum": 0.9}), (optim.Adam, {}), (optim.AdamW, {}), (optim.RMSprop, {}), (optim.Adagrad, {}), (optim.NAdam, {}),
    (Descent, {}),
]:  # fmt: skip
    SOUND.append(pytest.param(lambda make=optimizer, options=options: check_op(make, options=options, raise_exception=False), id=optimizer.__name__))


@sound
def a_primitive_of_ones_own():
    @primitive
    def log_cosh(x):
        return np.log(np.cosh(x))

    log_cosh.vjp(x=lambda g, x: g * tg.tanh(x))
    return checked(log_cosh, X, reference=lambda x: np.log(np.cosh(x)), order=3, elementwise=True)


@sound
def a_function_of_ones_own():
    return checked(function_of(lambda x, y: x * y + y, lambda g, x, y: (g * y, g * (x + 1))), (X, Y), reference=lambda x, y: x * y + y)


@sound
def a_module_that_makes_a_table_at_its_first_call():
    class Positions(Scaled):
        table = None

        def forward(self, x):
            if self.table is None:
                self.table = np.arange(4.0)
            return super().forward(x) + tg.from_numpy(self.table).to(x.dtype)

    return checked(Positions(), X)


@sound
def a_module_against_a_reference():
    return checked(nn.Linear(4, 2), X, reference=lambda x, weight, bias: x @ weight.T + bias)


@sound
def a_loss_that_is_a_function():
    return check_loss(nn.functional.cross_entropy, (X, np.array([0, 3, 1])), raise_exception=False)


@sound
def an_optimizer_against_a_reference():
    def adam(p, g, state, step):
        state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
        state["v"] = 0.999 * state.get("v", 0) + 0.001 * g * g
        return p - 1e-3 * (state["m"] / (1 - 0.9**step)) / (np.sqrt(state["v"] / (1 - 0.999**step)) + 1e-8)

    return optimized(optim.Adam, reference=adam)


@sound
def an_optimizer_with_a_step_of_its_own():
    return optimized(stepping(lambda self, p, group: p.sub_(group["lr"] * p.grad)), reference=reference)


@pytest.mark.parametrize("check", SOUND)
def test_of_what_is_sound_nothing_is_said(check):
    report = check()
    assert report.ok and "nothing wrong" in str(report), str(report)


# -- the words ----------------------------------------------------------------------------------------------


RIGHT = np.arange(1.0, 13.0).reshape(3, 4)


@pytest.mark.parametrize(
    "found, expected, words",
    [
        (3 * RIGHT / 2, RIGHT, "is wrong by a factor 3/2"),
        (-2 * RIGHT, RIGHT, "is wrong by a factor 2 and has the wrong sign"),
        (RIGHT * 0.123456, RIGHT, "is wrong by a factor 0.1235"),
        (RIGHT + 0.5, RIGHT, "is wrong by the constant 1/2 that is added"),
        (RIGHT, 0 * RIGHT, "is not zero, as it should be"),
        (0 * RIGHT, RIGHT, "is zero everywhere"),
        (None, RIGHT, "is missing"),
        (np.where(RIGHT == 6, np.inf, RIGHT), RIGHT, "is infinite at 1 of 12 places, first at (1, 1)"),
        (RIGHT * (np.arange(4) != 2), RIGHT, "is wrong at 3 of 12 places, where it is zero: all at index 2 of dim 1"),
        (RIGHT[::-1], RIGHT, "has the right numbers at the wrong places"),
        (RIGHT**2, RIGHT, "is wrong at 11 of 12 places, first at (0, 1)"),
        (np.sin(RIGHT), RIGHT, "is wrong everywhere"),
        (RIGHT.T, RIGHT, "has shape (4, 3) instead of (3, 4): it is transposed"),
        (RIGHT.T * 2, RIGHT, "has shape (4, 3) instead of (3, 4): it is transposed, and its numbers are wrong too"),
        (RIGHT, RIGHT.sum(0), "has shape (3, 4) instead of (4,): it is not summed over dim 0"),
        (2 * RIGHT, RIGHT.sum(0), "has shape (3, 4) instead of (4,): it is not summed over dim 0, and then is wrong by a factor 2"),
        (RIGHT, np.ones(5), "has shape (3, 4) instead of (5,)"),
    ],
)
def test_a_difference_in_words(found, expected, words):
    assert difference(found, expected).words == words


def test_equal_arrays_have_no_difference():
    assert difference(RIGHT, RIGHT + 1e-9) is None and difference(None, 0 * RIGHT) is None
    assert difference(np.full(2, np.nan), np.full(2, np.nan)) is None


# -- the report -------------------------------------------------------------------------------------------


def test_a_finding_has_its_case_and_its_numbers():
    report = twice_the_gradient()
    (finding,) = [each for each in report.findings if each.check == "gradient"]
    assert finding.case == "x (3, 4) float64, y (3, 4) float64"
    assert finding.numbers["factor"] == pytest.approx(2) and finding.numbers["largest difference"] > 0
    assert {"value", "gradient", "dtype", "strides", "leaks"} <= {*report.checks, "value"}
    assert "values" in report.left_out and "no reference" in report.left_out["values"]


def test_what_is_wrong_raises_with_the_text_of_the_report():
    with pytest.raises(AssertionError, match="gradient of input 0 is wrong by a factor 1/2"):
        check_op(function_of(lambda x: x * x, lambda g, x: g * x), X, order=1)
    with pytest.raises(AssertionError, match="raises ZeroDivisionError") as raised:
        check_op(lambda x: x / (1 // 0), X)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert check_op(tg.sin, X).ok


def test_findings_of_a_check_can_be_ignored():
    report = check_op(optim.Rprop, raise_exception=False)
    assert [finding.check for finding in report.findings] == ["groups"]
    assert check_op(optim.Rprop, ignore=["groups"]).left_out["groups"] == "it is to be ignored"


def test_what_is_checked_is_left_as_it_was():
    model, x = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)), X.copy()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    check_op(model, x)
    assert all(np.array_equal(value.numpy(), before[name]) for name, value in model.state_dict().items())
    assert model.training and all(p.grad is None and p.dtype == tg.float32 for p in model.parameters()) and np.array_equal(x, X)


def test_what_cannot_be_checked_is_refused():
    for call, words in [
        (lambda: check_op(tg.sin), "inputs is missing"), (lambda: check_op(nn.Linear, X), "the class Linear; make one"),
        (lambda: check_op(optim.SGD, X), "takes no inputs"), (lambda: check_op(3, X), "op must be a primitive, .* got int"),
        (lambda: check_function(nn.Tanh(), X), "got Tanh"), (lambda: check_module(tg.sin, X), "must be a Module, got function"),
        (lambda: check_loss(nn.MSELoss, (X, Y)), "must be a Module or a function"), (lambda: check_optimizer(3), "an Optimizer subclass or a function"),
    ]:  # fmt: skip
        with pytest.raises(TypeError, match=words):
            call()
    with pytest.raises(ValueError, match="inputs is empty"):
        check_op(tg.sin, ())


def test_an_optimizer_may_be_made_by_a_function():
    assert check_optimizer(lambda params, lr=0.1: optim.SGD(params, lr=lr, momentum=0.5)).ok


def test_a_check_that_there_is_not_and_a_negative_order_are_refused():
    with pytest.raises(ValueError, match=r"ignore: expected names of checks \(.*value\), got 'valeus'"):
        check_op(tg.exp, (np.ones(3),), reference=np.exp, ignore=["valeus"])
    with pytest.raises(ValueError, match="order must be an int of at least 0, got -1"):
        check_op(tg.exp, (np.ones(3),), order=-1)
