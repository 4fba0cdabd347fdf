"""Tensors in Python's protocols: operators, conversions, copies, pickling."""

from __future__ import annotations

import copy
import operator
import pickle

import numpy as np
import pytest

import tinygrad_lite as tg

BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift"]
ORDER = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}
SIGNS = dict(zip(BINARY, ["+", "-", "*", "/", "//", "%", "** or pow()", "@", "&", "|", "^", "<<", ">>"]))


class Knows:
    """Answers every reflected operator with its name."""


for _name in BINARY:
    _reflected = f"__r{_name.rstrip('_')}__"
    setattr(Knows, _reflected, lambda self, other, name=_reflected: name)
for _name in ORDER:
    setattr(Knows, f"__{_name}__", lambda self, other, name=_name: name)


class Bare:
    pass


def tensor():
    return tg.ones(2, dtype=tg.int64)


class TestOperatorsThatDoNotKnowTheOtherOperand:
    @pytest.mark.parametrize("name", BINARY)
    def test_the_other_one_is_asked(self, name):
        reflected = f"__r{name.rstrip('_')}__"
        assert getattr(operator, name)(tensor(), Knows()) == reflected
        assert getattr(operator, f"i{name.rstrip('_')}")(tensor(), Knows()) == reflected

    @pytest.mark.parametrize("name", ORDER)
    def test_a_comparison_asks_the_other_one(self, name):
        assert getattr(operator, name)(tensor(), Knows()) == ORDER[name]

    @pytest.mark.parametrize("other", [Bare(), None, {}, {1}], ids=lambda o: type(o).__name__)
    @pytest.mark.parametrize("name", BINARY)
    def test_where_neither_knows_python_names_the_operator_and_both_types(self, name, other):
        for left, right in ((tensor(), other), (other, tensor())):
            with pytest.raises(TypeError) as refusal:
                getattr(operator, name)(left, right)
            message = str(refusal.value)
            assert SIGNS[name] in message and f"'{type(left).__name__}' and '{type(right).__name__}'" in message

    @pytest.mark.parametrize("name", [name for name in BINARY if name != "mul"])  # a str repeats itself: it has its own answer
    def test_text_is_no_operand(self, name):
        for text in ("a", np.str_("a"), b"a"):
            with pytest.raises(TypeError):
                getattr(operator, name)(tensor(), text)

    @pytest.mark.parametrize("name", ["lt", "le", "gt", "ge"])
    def test_where_neither_has_an_order_python_says_so(self, name):
        with pytest.raises(TypeError, match="not supported between instances of 'Tensor' and 'Bare'"):
            getattr(operator, name)(tensor(), Bare())

    @pytest.mark.parametrize("other", [Bare(), None, "a", [1, 1], (1, 1), {}], ids=lambda o: type(o).__name__)
    def test_nothing_unknown_is_equal(self, other):
        assert (tensor() == other) is False and (other == tensor()) is False
        assert (tensor() != other) is True and (other != tensor()) is True

    def test_approx_of_pytest(self):
        assert tg.tensor(1.0) == pytest.approx(1.0)
        assert tg.tensor(1.0) != pytest.approx(1.1)
        assert pytest.approx(1.0) == tg.tensor(1.0)

    @pytest.mark.parametrize("other", [2, 2.0, True], ids=lambda o: type(o).__name__)
    def test_a_matrix_product_with_a_number(self, other):
        for operands in ((tensor(), other), (other, tensor())):
            with pytest.raises(TypeError, match="unsupported operand type.* for @"):
                operator.matmul(*operands)

    def test_nothing_changes_where_an_operator_in_place_is_refused(self):
        x = tg.ones(2)
        with pytest.raises(TypeError, match=r"\+="):
            x += Bare()
        assert x.tolist() == [1, 1]

    def test_a_chain_goes_on_with_what_the_other_one_gave(self):
        class Lazy:
            def __radd__(self, other):
                return other * 10

        assert (tg.ones(2) + Lazy() + 1).tolist() == [11, 11]


class TestOperatorsWithNumPy:
    @pytest.mark.parametrize("name", [n for n in BINARY if n not in ("matmul", "and_", "or_", "xor", "lshift", "rshift")])
    def test_scalars_and_arrays_on_either_side(self, name, device):
        if device != "cpu":
            pytest.skip("NumPy's arrays and tensors on a GPU do not meet")
        operate = getattr(operator, name)
        x, a = tg.tensor([1.0, 2.0]), np.array([3.0, 5.0], np.float32)
        for other in (np.float32(3), np.int64(3), 3, 3.0):
            for got, want in ((operate(x, other), operate(x.numpy(), other)), (operate(other, x), operate(other, x.numpy()))):
                assert isinstance(got, tg.Tensor)
                np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)
        for got, want in ((operate(x, a), operate(x.numpy(), a)), (operate(a, x), operate(a, x.numpy()))):
            assert isinstance(got, tg.Tensor)
            np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)

    def test_products_with_arrays(self, device):
        if device != "cpu":
            pytest.skip("NumPy's arrays and tensors on a GPU do not meet")
        x, a = tg.tensor([1.0, 2.0]), np.array([3.0, 5.0], np.float32)
        assert (x @ a).item() == (a @ x).item() == 13


class TestNumbersOfATensor:
    @pytest.mark.parametrize("convert", [int, float, complex, bool, tg.Tensor.item], ids=lambda f: f.__name__)
    @pytest.mark.parametrize("shape", [(2,), (0,), (1, 2), (2, 0)])
    def test_of_several_elements_it_is_a_value_error_and_a_runtime_error(self, convert, shape):
        for kind in (ValueError, RuntimeError):
            with pytest.raises(kind, match=rf"{convert.__name__}: .*{shape}".replace("(", r"\(").replace(")", r"\)")):
                convert(tg.ones(shape))

    @pytest.mark.parametrize("values", [[1, 2], 1.5, [True, False], []])
    def test_an_index_is_one_integer(self, values):
        with pytest.raises(TypeError, match="index"):
            operator.index(tg.tensor(values))

    def test_of_one_element(self):
        x = tg.tensor([[1.5]])
        assert (int(x), float(x), complex(x), bool(x), x.item()) == (1, 1.5, 1.5, True, 1.5)
        assert operator.index(tg.tensor([3])) == 3 and operator.index(tg.tensor(True)) == 1

    def test_what_is_no_integer(self):
        with pytest.raises(ValueError, match="NaN"):
            int(tg.tensor(float("nan")))
        with pytest.raises(OverflowError, match="infinity"):
            int(tg.tensor(float("inf")))

    def test_formats_of_several_elements(self):
        for text in ("%d", "%.2f"):
            with pytest.raises((TypeError, ValueError)):
                text % tg.ones(2)
        assert f"{tg.tensor(1.256):.2f}" == "1.26"
        assert text % tg.tensor(1.256) == "1.26"


class TestCopies:
    def test_a_copy_of_a_result_is_a_leaf_on_the_same_memory(self):
        x = tg.ones(2, requires_grad=True)
        y = x * 2
        copied = copy.copy(y)
        assert copied.is_leaf and copied.requires_grad and copied.data_ptr() == y.data_ptr()
        copied.sum().backward()
        assert copied.grad.tolist() == [1, 1] and x.grad is None

    def test_a_copy_of_a_leaf_has_its_attributes_and_no_gradient(self):
        x = tg.ones(2, requires_grad=True)
        x.sum().backward()
        x.note = ["a"]
        copied = copy.copy(x)
        assert copied.grad is None and copied.requires_grad and copied.note is x.note and copied is not x
        assert not copy.copy(tg.ones(2)).requires_grad

    def test_a_copy_of_a_parameter_is_one(self):
        p = tg.nn.Parameter(tg.ones(2), requires_grad=False)
        copied = copy.copy(p)
        assert type(copied) is tg.nn.Parameter and not copied.requires_grad and copied.data_ptr() == p.data_ptr()

    def test_what_comes_out_of_a_pickle_is_a_leaf(self):
        y = tg.ones(2, requires_grad=True) * 2
        loaded = pickle.loads(pickle.dumps(y))
        assert loaded.is_leaf and loaded.requires_grad and loaded.tolist() == [2, 2] and loaded.data_ptr() != y.data_ptr()

    @pytest.mark.parametrize("result", [lambda x: x * 2, lambda x: x[:1], lambda x: x.view(2, 1), lambda x: x.clone().add_(1)])
    def test_a_deep_copy_of_a_result_is_refused(self, result):
        y = result(tg.ones(2, requires_grad=True))
        for refused in (y, [y], {"y": (y,)}):
            with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user .graph leaves. .* result of "):
                copy.deepcopy(refused)

    def test_a_deep_copy_of_a_leaf_takes_its_gradient_along(self):
        x = tg.ones(2, requires_grad=True)
        (x * 3).sum().backward()
        copied = copy.deepcopy(x)
        assert copied.grad.tolist() == [3, 3] and copied.grad is not x.grad and copied.data_ptr() != x.data_ptr()


class TestGradOfAResult:
    def test_reading_it_warns_and_names_retain_grad(self):
        x = tg.ones(2, requires_grad=True)
        y = x * 2
        with pytest.warns(UserWarning, match=r"not a leaf .*mul.*retain_grad\(\)") as warned:
            assert y.grad is None
        assert warned[0].filename == __file__

    @pytest.mark.parametrize(
        "tensor",
        [
            lambda x: x,
            lambda x: x.detach(),
            lambda x: x.data,
            lambda x: tg.ones(2),
            lambda x: tg.ones(2) * 2,
        ],
    )
    def test_that_of_a_leaf_does_not(self, tensor):
        assert tensor(tg.ones(2, requires_grad=True)).grad is None  # a warning would be an error

    def test_that_which_is_there_or_will_be_does_not(self):
        x = tg.ones(2, requires_grad=True)
        y, z = x * 2, x * 3
        y.retain_grad()
        assert y.grad is None
        (y * z).sum().backward(inputs=[x, z])
        assert y.grad.tolist() == [3, 3] and z.grad.tolist() == [2, 2]

    def test_nothing_of_the_library_reads_it(self):
        x = tg.ones(2, 2, requires_grad=True)
        y = x * 2
        repr(y), copy.copy(y), pickle.dumps(y), y.sum().backward(), hash(y), dir(y), y.add_(1), y.requires_grad_()
        for name in dir(type(y)):
            if name != "grad" and isinstance(getattr(type(y), name), property):
                getattr(y, name)
