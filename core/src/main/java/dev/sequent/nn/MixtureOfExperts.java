package dev.sequent.nn;

import dev.sequent.autograd.Autograd;
import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.op.ReduceOp;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A sparse feed-forward layer: a router chooses k of E gated MLPs for every token, and the output is the sum of theirs, weighted by the
 * router's probabilities (Shazeer et al. 2017; top-k of a softmax over all experts as in Jamba and Mixtral).
 *
 * <pre>{@code
 * p        = softmax(router x)                     (N, E), F32 at least
 * chosen   = the k largest of p                    (N, k)
 * y        = sum over chosen e of p_e expert_e(x)  with p_e / (sum over chosen) where renormalised
 * }</pre>
 *
 * <p>Only the chosen experts are computed: the tokens' rows are sorted by expert on the host, every expert gets its rows in one matrix, and
 * the results return to their places by the inverse permutation. Both permutations move every row to a place of its own, so that forward
 * and backward pass add in a fixed order. Every token is routed, none is dropped. The choice itself has no derivative; the weights have.
 * {@link LoadBalancing} adds the loss that keeps experts in use.
 *
 * <p>Checkpoint names {@code router.weight} (E, D) and {@code experts.N.gate_proj.weight}, {@code up_proj}, {@code down_proj} as in
 * {@link GatedMlp}.
 */
public final class MixtureOfExperts extends FeedForward {
    private final Linear router;
    private final List<GatedMlp> experts = new ArrayList<>();
    private final int chosen;
    private final boolean renormalise;

    /**
     * Normal initial values.
     *
     * @param hidden F, the inner width of each expert
     * @param count E
     * @param chosen k, experts per token
     * @param renormalise whether the weights of the chosen experts are divided by their sum (Mixtral) or not (Jamba)
     * @param bias whether the experts' projections have biases; the router has none
     * @param std standard deviation of the weights
     * @param outStd standard deviation of the experts' output projections
     */
    public MixtureOfExperts(Init init, long width, long hidden, int count, int chosen, boolean renormalise, boolean bias, double std,
            double outStd) {
        if (count < 1 || chosen < 1 || chosen > count) {
            throw new ConfigException("mixture of experts", "1 <= experts per token <= experts", chosen + " of " + count);
        }
        this.router = child("router", Linear.normal(init, std, width, count, false));
        for (int e = 0; e < count; e++) {
            experts.add(child("experts." + e, new GatedMlp(init, width, hidden, bias, std, outStd)));
        }
        this.chosen = chosen;
        this.renormalise = renormalise;
    }

    @Override
    public Tensor forward(Tensor x) {
        long width = router.weight().value().dim(1);
        if (x.dim(-1) != width) {
            throw new ShapeException("experts", "(..., " + width + ")", x.shape().toString());
        }
        long tokens = x.size() / width;
        Tensor rows = x.reshape(tokens, width);
        DType wide = x.dtype() == DType.F64 ? DType.F64 : DType.F32;
        Tensor probabilities = router.forward(rows).cast(wide).softmax(1);
        Tensor index = Autograd.noGrad(() -> probabilities.topK(chosen)); // (N, k)
        Tensor weights = probabilities.gather(1, index);
        if (renormalise) {
            weights = weights.div(weights.reduce(ReduceOp.SUM, true, 1));
        }
        Plan plan = Plan.of(index.toLongs(), experts.size());
        LoadBalancing.observe(probabilities, plan);
        Tensor copies = rows.unsqueeze(1).broadcastTo(rows.shape().insert(1, chosen)).reshape(tokens * chosen, width);
        Tensor outputs = plan.restore(experts(plan.sort(copies), plan)).reshape(tokens, chosen, width);
        return outputs.mul(weights.cast(x.dtype()).unsqueeze(2)).sum(1).reshape(x.shape());
    }

    /**
     * {@inheritDoc}
     *
     * <p>The tokens are taken to spread evenly: as many experts read their parameters as tokens can choose, each for its share of the rows.
     */
    @Override
    public Work work(Workload w) {
        double width = router.weight().value().dim(1);
        double rows = w.tokens() * chosen;
        double busy = Math.min(experts.size(), rows);
        Work routing = router.work(w).plus(Work.pointwise(w, w.tokens() * experts.size(), 4, 1, 1));
        Work moving = Work.pointwise(w, rows * width, 2, 2, 2);
        return routing.plus(moving).plus(experts.getFirst().work(w, rows / busy).times(busy));
    }

    /** Each expert on its rows of {@code sorted}. */
    private Tensor experts(Tensor sorted, Plan plan) {
        List<Tensor> outputs = new ArrayList<>();
        for (int e = 0; e < experts.size(); e++) {
            if (plan.count(e) > 0) {
                outputs.add(experts.get(e).forward(sorted.slice(0, plan.starts[e], plan.starts[e + 1])));
            }
        }
        return outputs.isEmpty() ? sorted
                : outputs.size() == 1 ? outputs.getFirst() : Tensor.concat(0, outputs.toArray(Tensor[]::new));
    }

    /**
     * Which row goes where.
     *
     * @param order the row that each sorted place takes, rows of one expert in their own order
     * @param inverse the sorted place of each row
     * @param starts where each expert's rows begin among the sorted ones, and their number at the end
     */
    record Plan(int[] order, int[] inverse, int[] starts) {
        /** A counting sort of the experts chosen for each row. */
        static Plan of(long[] choice, int experts) {
            int[] starts = new int[experts + 1];
            for (long e : choice) {
                starts[(int) e + 1]++;
            }
            Arrays.parallelPrefix(starts, Integer::sum);
            int[] next = starts.clone();
            int[] order = new int[choice.length];
            int[] inverse = new int[choice.length];
            for (int i = 0; i < choice.length; i++) {
                int place = next[(int) choice[i]]++;
                order[place] = i;
                inverse[i] = place;
            }
            return new Plan(order, inverse, starts);
        }

        int count(int expert) {
            return starts[expert + 1] - starts[expert];
        }

        Tensor sort(Tensor rows) {
            return rows.indexSelect(0, Tensor.of(rows.device(), order));
        }

        Tensor restore(Tensor sorted) {
            return sorted.indexSelect(0, Tensor.of(sorted.device(), inverse));
        }
    }
}
