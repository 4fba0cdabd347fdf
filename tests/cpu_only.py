"""Tests that do not run with `--device`: a part of their names, and why."""

REASONS = {
    "test_a_long_chain_goes_backward_without_recursion": "it counts the engine's calls, which takes minutes on the stand-in",
    "test_erf_is_accurate": "of this library's own erf; a GPU has CuPy's",
    "test_without_scipy_the_extra_is_named": "on a GPU it is CuPy that brings these functions",
    "test_a_long_sum_loses_no_digits": "of this library's own order of adding; a GPU adds in CuPy's",
    "test_arrays_that_nobody_else_holds_move_into_one": "only NumPy's arrays are moved",
    "test_what_shares_memory": "tensors on a GPU share no memory with NumPy's arrays",
    "test_same_program_same_losses[gpt]": "the program itself asks for device='cpu'",
    "test_same_program_same_losses[vae]": "the program itself asks for device='cpu'",
    "test_same_program_same_losses[character_mlp]": "the program draws with a generator of the CPU",
    "test_same_idiom_same_result[where]": "it asks where a tensor is",
    "test_same_idiom_same_result[types]": "the old types are the CPU's",
    "test_checkpoint_draws_the_same_random_numbers[False]": "it looks at the CPU's stream; see test_gpu.py for a GPU's",
    "test_same_idiom_same_result[accelerator]": "it asks whether there is a GPU, and PyTorch sees none",
    "test_autocast_and_a_scaler_without_a_gpu": "it is about a machine without one",
    "test_a_model_in_data_parallel": "it counts the GPUs",
    "test_memory_does_not_grow_with_steps": "it counts Python's own memory, which the stand-in's arrays are in too",
    "equal[training-LinearCrossEntropyLoss]": "its sample asks for device='cpu'",
    "equal[evaluation-LinearCrossEntropyLoss]": "its sample asks for device='cpu'",
    "test_spectrum_and_diagonal": "its matrix is NumPy's, and random directions go to the default device",
}
