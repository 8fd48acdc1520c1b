package dev.sequent.transformer;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.kernel.KernelTable;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.mixer.StateCost;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.nn.Linear;
import dev.sequent.nn.RmsNorm;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.tensor.Tracing;
import dev.sequent.transformer.attention.Attention;
import dev.sequent.transformer.attention.AttentionMask;
import dev.sequent.transformer.attention.TokenAttentionKernel;
import dev.sequent.transformer.cache.KvCache;
import dev.sequent.transformer.position.RotaryEmbedding;
import dev.sequent.transformer.position.RotaryTable;
import java.util.Optional;

/**
 * Causal self-attention as in Llama (Touvron et al. 2023): multi-head, grouped-query or multi-query, with rotary positions that begin anew
 * in every document.
 *
 * <pre>
 * q = rope(norm(x W_q))   k = rope(norm(x W_k))   v = x W_v
 * y = softmax(q k^T / sqrt(P) + causal mask) v W_o
 * </pre>
 *
 * <p>Checkpoint names {@code q_proj}, {@code k_proj}, {@code v_proj}, {@code o_proj}, and with {@code qk_norm} also {@code q_norm},
 * {@code k_norm}, as in Hugging Face's models. The state is a {@link KvCache} of 2 G P values per token. Work is O(T^2), memory in training
 * O(T). Source: transformers modeling_llama.py, modeling_qwen3.py.
 */
public final class CausalSelfAttention extends SequenceMixer<KvCache> {
    private final AttentionConfig config;
    private final int width;
    private final int headWidth;
    private final Linear query;
    private final Linear key;
    private final Linear value;
    private final Linear output;
    private final RmsNorm queryNorm;
    private final RmsNorm keyNorm;
    private final RotaryEmbedding rotary;

    /** A layer with fresh parameters; see {@link AttentionConfig#create}. */
    CausalSelfAttention(AttentionConfig config, int width, int layers, Init init) {
        this.config = config;
        this.width = width;
        this.headWidth = config.headWidth(width);
        double std = config.initializer_range();
        long queries = (long) config.num_attention_heads() * headWidth;
        long keys = (long) config.num_key_value_heads() * headWidth;
        boolean bias = config.attention_bias();
        this.query = child("q_proj", Linear.normal(init, std, width, queries, bias));
        this.key = child("k_proj", Linear.normal(init, std, width, keys, bias));
        this.value = child("v_proj", Linear.normal(init, std, width, keys, bias));
        this.output = child("o_proj", Linear.normal(init, std / Math.sqrt(2.0 * layers), queries, width, bias));
        this.queryNorm = config.qk_norm() ? child("q_norm", new RmsNorm(init, headWidth, config.rms_norm_eps())) : null;
        this.keyNorm = config.qk_norm() ? child("k_norm", new RmsNorm(init, headWidth, config.rms_norm_eps())) : null;
        this.rotary = config.rope_theta() == 0 ? null : new RotaryEmbedding(config.frequencies(headWidth));
    }

    @Override
    public int width() {
        return width;
    }

    /** What the layer was made from. */
    public AttentionConfig config() {
        return config;
    }

    @Override
    public Tensor forward(Tensor x, SequenceInfo info) {
        info.expect("attention", x, width);
        int[] positions = info.positions(null);
        Tensor[] projected = Linear.together(x, query, key, value);
        Tensor q = turned(projected[0], queryNorm, positions); // (B, T, H, P)
        Tensor k = turned(projected[1], keyNorm, positions); // (B, T, G, P)
        Tensor v = heads(projected[2]); // (B, T, G, P)
        return output(attend(q, k, v, mask(info), info.dropout()), info);
    }

    /** Causal, within documents. */
    private static AttentionMask mask(SequenceInfo info) {
        if (info.flags() == null) {
            return AttentionMask.CAUSAL;
        }
        int[] documents = new int[info.batch() * info.time()];
        int document = 0;
        for (int i = 0; i < documents.length; i++) {
            byte flag = info.flags()[i];
            document += i % info.time() == 0 || flag == SequenceInfo.RESET ? 1 : 0;
            documents[i] = flag == SequenceInfo.SKIP ? -1 : document;
        }
        return AttentionMask.CAUSAL.withDocuments(documents, documents);
    }

    private Tensor attend(Tensor q, Tensor k, Tensor v, AttentionMask mask, Optional<Rng> rng) {
        AttentionMask windowed = config.sliding_window() == 0 ? mask : mask.withWindow(config.sliding_window());
        return Attention.apply(q, k, v, windowed, 1 / Math.sqrt(headWidth), config.attention_dropout(), rng);
    }

    /** Heads of projected queries or keys, normalised where {@code norm} is not null, turned to their positions. */
    private Tensor turned(Tensor projected, RmsNorm norm, int[] positions) {
        Tensor x = heads(projected);
        Tensor normalised = norm == null ? x : norm.forward(x);
        return rotary == null ? normalised : rotary.apply(normalised, positions);
    }

    /** (B, T, H P) to (B, T, H, P). */
    private Tensor heads(Tensor x) {
        return x.reshape(x.dim(0), x.dim(1), x.dim(2) / headWidth, headWidth);
    }

    /** The output projection of attended heads (B, T, H, P); zero at padding. */
    private Tensor output(Tensor heads, SequenceInfo info) {
        Tensor y = output.forward(heads.reshape(heads.dim(0), heads.dim(1), -1)); // (B, T, D)
        return config.attention_bias() ? info.withoutPadding(y) : y;
    }

    @Override
    public KvCache newState(StateSpec spec) {
        return new KvCache(spec, config.num_key_value_heads(), headWidth);
    }

    @Override
    public Tensor prefill(Tensor x, SequenceInfo info, KvCache state) {
        x.expect("attention prefill", state.batch(), info.time(), width);
        info.expect("attention prefill", x, width);
        return Scope.returning(() -> {
            int[] positions = info.positions(state.tokens());
            Tensor[] projected = Linear.together(x, query, key, value);
            Tensor q = turned(projected[0], queryNorm, positions); // (B, T, H, P)
            AttentionMask mask = state.append(turned(projected[1], keyNorm, positions), heads(projected[2]), info);
            return output(attend(q, state.keys().cast(q.dtype()), state.values().cast(q.dtype()), mask, Optional.empty()), info);
        });
    }

    @Override
    public Tensor step(Tensor x, KvCache state) {
        x.expect("attention step", state.batch(), 1, width);
        Optional<TokenAttentionKernel> kernel = KernelTable.of(x.device()).find(TokenAttentionKernel.class, k -> refusal(k, x, state));
        return kernel.isPresent() ? Scope.returning(() -> step(x, state, kernel.get())) : prefill(x, SequenceInfo.of(x), state);
    }

    private Optional<String> refusal(TokenAttentionKernel kernel, Tensor x, KvCache state) {
        boolean plain = Tracing.current() == null && state.isEven() && state.spec().device().equals(x.device());
        return plain ? kernel.refusal(x, state.spec().dtype(), headWidth) : Optional.of("takes even rows without a derivative");
    }

    private Tensor step(Tensor x, KvCache state, TokenAttentionKernel kernel) {
        Tensor[] projected = Linear.together(x, query, key, value); // (B, 1, H P), (B, 1, G P), (B, 1, G P)
        Tensor q = queryNorm == null ? projected[0] : queryNorm.forward(heads(projected[0])).reshape(projected[0].shape());
        Tensor k = keyNorm == null ? projected[1] : keyNorm.forward(heads(projected[1])).reshape(projected[1].shape());
        int window = config.sliding_window() == 0 ? AttentionMask.UNLIMITED : config.sliding_window();
        return output.forward(state.append((keys, values, slot) -> {
            RotaryTable table = rotary == null ? null : rotary.table(slot);
            TokenAttentionKernel.Cache cache = new TokenAttentionKernel.Cache(keys, values, slot, window, table);
            return kernel.attend(q, k, projected[2], cache, 1 / Math.sqrt(headWidth));
        }));
    }

    @Override
    public Work work(Workload w) {
        double queries = (double) config.num_attention_heads() * headWidth;
        double keys = (double) config.num_key_value_heads() * headWidth;
        double pairs = w.pairs(config.sliding_window());
        double turned = (rotary == null ? 0 : 3) + (queryNorm == null ? 0 : 5);
        Work heads = Work.pointwise(w, turned == 0 ? 0 : w.tokens() * (queries + keys), turned, 1, 1);
        // scores and weighted values; backward scores again, and the gradients of scores, queries, keys and values. Softmax on top of them
        double products = w.isForward() ? 2 : 5;
        double remembered = config.sliding_window() == 0 ? w.context() : Math.min(w.context(), config.sliding_window() - 1.0);
        double moved = w.tokens() * (2 * queries + 2 * keys) * (w.isForward() ? 1 : 2) + 2 * keys * w.batch() * remembered;
        Work attention = new Work(products * 2 * pairs * queries, (w.isForward() ? 5 : 8) * pairs * config.num_attention_heads(),
                moved * w.elementBytes());
        return query.work(w).plus(key.work(w)).plus(value.work(w)).plus(heads).plus(attention).plus(output.work(w));
    }

    @Override
    public StateCost cost(StateSpec spec) {
        long bytes = parameters().stream().mapToLong(p -> p.value().size() * p.value().dtype().bytes()).sum();
        long perToken = 2L * config.num_key_value_heads() * headWidth * spec.dtype().bytes();
        return new StateCost(0, perToken, bytes);
    }
}
