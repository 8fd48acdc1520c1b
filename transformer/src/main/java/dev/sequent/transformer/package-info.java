/**
 * Attention layers. Start with {@link dev.sequent.transformer.CausalSelfAttention}, which is made from an
 * {@link dev.sequent.transformer.AttentionConfig} and known to models by the name {@code attention}.
 *
 * <p>{@link dev.sequent.transformer.attention} holds the operation and its kernels, {@link dev.sequent.transformer.position} rotary
 * positions, {@link dev.sequent.transformer.cache} the state.
 *
 * <p>Invariants: those of every {@link dev.sequent.mixer.SequenceMixer}; parameters carry Hugging Face's names.
 *
 * {@snippet :
 * List<LayerSpec> layers = Collections.nCopies(6, new LayerSpec(AttentionConfig.of(4), mlp));
 * LanguageModel model = new LanguageModel(LanguageModelConfig.of(256, 256, layers), new Init(device, 42));
 * }
 *
 * <p>Does not belong here: feed-forward parts, norms and embeddings, which are in core; state-space layers.
 */
package dev.sequent.transformer;
