package dev.sequent.train;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.nn.LoadBalancing;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.type.DType;
import dev.sequent.type.DataException;

/**
 * The training objective of a language model: mean cross-entropy of the next token, in nats, and in training the load-balancing loss of its
 * mixtures of experts, where configured.
 */
public final class LanguageModelLoss {
    private LanguageModelLoss() {}

    /**
     * The loss of a batch; differentiable. Negative targets do not count.
     *
     * @param dropout stream of dropout, or null in evaluation
     * @param recompute whether blocks are computed again in the backward pass
     * @return a scalar
     * @throws DataException when an input or target is outside the model's vocabulary
     * @throws dev.sequent.type.ConfigException when there is a load-balancing loss and blocks are recomputed
     */
    public static Tensor of(LanguageModel model, TokenBatch batch, Rng dropout, boolean recompute) {
        SequenceInfo info = SequenceInfo.of(batch.batch(), batch.time());
        if (batch.documents() != null) {
            info = info.withDocuments(batch.documents());
        }
        if (dropout != null) {
            info = info.withDropout(dropout);
        }
        requireTargets(batch.targets(), model.config().vocab_size());
        SequenceInfo given = info;
        return LoadBalancing.add(dropout == null ? 0 : balancing(model), () -> {
            Tensor hidden = model.hidden(model.ids(batch.inputs(), batch.batch(), batch.time()), given, recompute);
            Tensor logits = model.logits(hidden);
            return CrossEntropy.loss(logits.reshape(-1, logits.dim(-1)), Tensor.of(model.device(), batch.targets()));
        });
    }

    /** The layers' router_aux_loss_coef; the largest, since the loss is one for all layers. */
    private static double balancing(LanguageModel model) {
        return model.config().layers().stream().filter(l -> l.mlp() != null).mapToDouble(l -> l.mlp().router_aux_loss_coef()).max()
                .orElse(0);
    }

    /** The work of loss and gradients for a batch of this shape, the optimizer's not included. */
    public static Work work(LanguageModel model, int batch, int time) {
        DType dtype = model.parameters().iterator().next().value().dtype();
        Work all = Work.NONE;
        for (Workload pass : new Workload[] {Workload.forward(batch, time, dtype), Workload.backward(batch, time, dtype)}) {
            all = all.plus(model.work(pass)).plus(Work.pointwise(pass, pass.tokens() * model.config().vocab_size(), 3, 1, 0));
        }
        return all;
    }

    private static void requireTargets(int[] targets, int vocabulary) {
        for (int target : targets) {
            if (target >= vocabulary) {
                throw new DataException("targets", "token ids below " + vocabulary, target + "");
            }
        }
    }
}
