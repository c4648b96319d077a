"""The sentences of the page of all claims that no result changes."""

NOT_RUN = "not yet run here"

HEAD = """# Claims

Every claim has a command that tests it: `alexnet experiment run NAME`; with `--quick` it takes some
minutes. `alexnet experiment plan NAME` tells how many seeds decide it. This page is made by
`alexnet experiment report` from the results that are kept in `src/alexnet/experiments/measured`; a
test compares it with them.

## How a verdict is reached

- **Learning rates.** Every seed of every arm has a learning rate of its own, so that the choice is
  a part of the spread between seeds. The search starts with a small grid, extends it until the
  error has turned on both sides, and then tries the rates between the best one and its neighbours.
  The rate is the lowest point of a parabola through the best one and its neighbours.
  Its runs have other seeds than the measured ones, and are validated on held-out training images;
  where the speed of training is measured, rates are chosen by that measure. The test split is not
  used. A search that ended at an edge of its grid is marked.
- **Seeds.** With the same seed, all arms are trained on the same images in the same order. All
  arms are evaluated on the same test images. A diverged run is scored as 100 % error. An
  experiment that was undecided is repeated with more seeds, none of them the earlier ones': to add
  seeds until a verdict is reached would bias it. An arm whose comparisons need fewer seeds than
  the rest may have fewer.
- **Interval.** Another seed would give other networks, and other test images would give other
  errors. A bootstrap over three seeds is too narrow: it never leaves the range of the three
  values, which contains the true mean only three times in four. So the 95 % interval adds a
  Student-t term for the seeds and a Bayesian bootstrap over the test images (Rubin 1981), in which
  an image has the same weight in all arms and seeds. Ratios are treated on a log scale. In
  simulations with a known effect, the interval covered it in 94 to 98 % of the cases, for 3 and 5
  seeds, whether seeds or images dominate (400 simulated experiments each;
  `test_interval_covers_the_true_effect_as_often_as_it_claims`). With the tuning included, and
  without the images' noise, it covered 93.0 to 95.9 % for 3, 4 and 5 seeds: arms that are equal, or
  differ in best rate, error, or how much a wrong rate costs. Of arms with equal errors, at most
  0.2 % were "reproduced" at a minimum effect of 1 point; of arms with equal epochs, 2.9 to 3.6 % at
  a minimum effect of 2 %, and none at 10 %. One tuning for all seeds would have covered 77 to 93 %
  (2,000 simulated experiments each;
  `test_intervals_cover_the_truth_with_the_tuning_included`).
- **Verdict.** Each claim states its minimum effect in advance. *Reproduced*: the whole interval is
  on the claimed side, and the estimate is at least the minimum effect. *Not reproduced*: the whole
  interval is below the minimum effect. *Undecided*: neither, or fewer than three seeds. Secondary
  comparisons do not count.
- **Several comparisons.** A claim of k primary comparisons is reproduced only if all of them are,
  each by its 95 % interval. That is conservative: where one has no effect, that one is found
  reproduced in at most 2.5 % of the cases. It would be wrong to refute the claim by the first of k
  intervals that lies below its minimum effect: with seven true comparisons that happens in up to
  16 % of the cases. So a claim is refuted only by a comparison whose interval at 1 - 5 % / k
  (Bonferroni) lies below, which happens to a true claim in at most 2.5 % of the cases.
- **Censored runs.** A run that does not reach its target gives a lower bound. A ratio with such a
  run is marked "at least" and has no upper end: it can be reproduced, but not refuted.
"""
