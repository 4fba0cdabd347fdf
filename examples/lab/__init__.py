"""The lecture lab: every claim of the two lectures, measured.

    python -m examples.lab                    # everything, at most 15 minutes on two cores
    python -m examples.lab --fast             # smaller runs, at most 90 seconds
    python -m examples.lab --only 41,42       # some items
    python -m examples.lab --seed 3           # other seeds

The claims are those of docs/lectures.md. A theme is a file in themes/, an experiment a function in it:

    @experiment(
        67,
        title="The noise of a minibatch",
        claim="The standard deviation of a minibatch gradient is σ / √n′.",
        numbers=[within("slope of the deviation over n′", -0.55, -0.45, "theory: -1/2; ± 0.05 for 200 batches a point")],
    )
    def the_noise_of_a_minibatch(run):
        ...
        run.judge("slope of the deviation over n′", value, interval)

What to know when writing one:

- The bounds of a number come from the theory or are a margin with its reason in `why`. They are chosen before the run
  that passes, and never moved until the picture looks right. A claim that fails as the lecture states it stays a
  failure: declare the number as the lecture has it, and beside it the number `under_the_condition` that makes it true,
  with `verdict=HOLDS_IF, condition="..."`; or `verdict=DOES_NOT_HOLD`.
- A verdict must not depend on luck: of twenty other seeds, at most one may change it. `python -m examples.lab.stability
  --only 67` counts. Where a number is too noisy, use more seeds or samples, not wider bounds.
- Use the library's public names, and what a reader knows from PyTorch; the function should read like the lecture.
- Every random number comes from a seed: `for seed in run.seeds(fast, full)` or `run.generator()`.
- `run.choose(fast, full)` for sizes. With --fast an experiment takes about a second, otherwise at most about twenty.
- Figures: theory beside the measurement (`style.theory`), bands over seeds (`style.band`), axes named with units
  (`style.name_axes`), a caption that says what is seen. Look at each.
"""
