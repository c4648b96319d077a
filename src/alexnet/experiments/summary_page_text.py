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
  error has turned on both sides, by four rates on a side at most, and then tries the rates between
  the best one and its neighbours. The rate is the lowest point of a parabola through the best one
  and its neighbours. Its runs have other seeds than the measured ones, and are validated on
  held-out training images; where the speed of training is measured, rates are chosen by that
  measure. The test split is not used. A search that ended at an edge of its grid is marked. Runs
  of the search may be shorter than the measured ones, and on fewer images; each section says so. A
  rate that is best for them need not be best for the measured runs. If that differs from arm to
  arm, the effect is off, and more seeds do not show it.
- **Seeds.** With the same seed, all arms are trained on the same images in the same order. All
  arms are evaluated on the same test images. A diverged run is scored as 100 % error. An arm
  whose comparisons need fewer seeds than the rest may have fewer; a comparison has the seeds of
  both. Where a section names several machines, the arms of a seed may have been trained on
  different ones.
- **Repetitions.** A claim that was undecided is repeated with a protocol that is fixed before its
  first run, with more seeds, none of them the earlier ones': to add seeds until a verdict is
  reached would bias it. The verdict is that of the last repetition; the limits of a claim tell
  the results of the earlier ones. Every repetition is one more chance of a false verdict: 2.5 %
  for each, so up to 10 % after four.
- **Interval.** Another seed would give other networks, and other test images would give other
  errors. A bootstrap over three seeds is too narrow: it never leaves the range of the three
  values, which contains the true mean only three times in four. So the 95 % interval adds a
  Student-t term for the seeds and a Bayesian bootstrap over the test images (Rubin 1981), in which
  an image has the same weight in all arms and seeds. Ratios are treated on a log scale. In
  simulations with a known effect, the interval covered it in 94 to 98 % of the cases, for 3 and 5
  seeds, whether seeds or images dominate (400 simulated experiments each;
  `test_interval_covers_the_true_effect_as_often_as_it_claims` repeats those of 3 seeds). With the
  tuning included, and without the images' noise, it covered 93.4 to 95.4 % for 3, 4 and 5 seeds:
  arms that are equal, or differ in best rate, error, or how much a wrong rate costs (5,000
  simulated experiments each); with the noise of 300 images 99.1 to 99.4 % (2,000 each). Of arms
  with equal errors, at most 0.5 % were "reproduced" at a minimum effect of 1 point; of arms with
  equal epochs, none at a minimum effect of 10 %, and 3.1 to 3.9 % at one of 2 % (10,000 each),
  which no claim here has. One tuning for all seeds would have covered 77 to 94 % (3,000 each).
  `test_intervals_cover_the_truth_with_the_tuning_included` repeats 600 of each with 3 and 5 seeds.
- **Verdict.** Each claim states its minimum effect in advance. *Reproduced*: the whole interval is
  on the claimed side, and the estimate is at least the minimum effect. *Not reproduced*: the whole
  interval is below the minimum effect. *Undecided*: neither, or fewer than three seeds. Secondary
  comparisons do not count.
- **What would decide it.** From the spread of the runs that exist: the seeds with which half of
  the interval is smaller than the minimum effect, and the seeds that give a verdict in 80 % of the
  cases if the effect is as measured.
- **Several comparisons.** A claim of k primary comparisons is reproduced only if all of them are,
  each by its 95 % interval. That is conservative: where one has no effect, that one is found
  reproduced in at most 2.5 % of the cases. It would be wrong to refute the claim by the first of k
  intervals that lies below its minimum effect: with seven true comparisons that happens in up to
  16 % of the cases. So a claim is refuted only by a comparison whose interval at 1 - 5 % / k
  (Bonferroni) lies below, which happens to a true claim in at most 2.5 % of the cases. The verdicts
  of the single comparisons are by their own 95 % intervals, and are not corrected for their number,
  nor are the claims for theirs: of thirteen without an effect, one would be found reproduced in up
  to 28 % of the cases.
- **Networks in common.** `response-norm`, `batch-norm-vs-lrn` and `ten-crop` measure the same four
  networks with response normalization, so their verdicts are not independent.
- **Censored runs.** A run that does not reach its target gives a lower bound. A ratio with such a
  run is marked "at least" and has no upper end: it can be reproduced, but not refuted.
"""
