/**
 * Language models as lists of layers: {@link dev.sequent.model.LanguageModel}, made from a {@link dev.sequent.model.LanguageModelConfig}. A
 * hybrid is data: {@link dev.sequent.model.LayerPattern} writes down which layer stands where, and {@link dev.sequent.model.ModelFiles}
 * stores a model, in the library's own format or in that of a {@link dev.sequent.model.CheckpointFamily} such as {@code llama};
 * {@link dev.sequent.model.ModelDescription} says what it consists of and what it costs.
 *
 * <p>Invariants: a model does not know which mixers it holds; its configuration round-trips through JSON; running it does not change it.
 * Training and generation live in packages of their own.
 *
 * <pre>{@code
 * List<LayerSpec> layers = LayerPattern.parse("MMMA", Map.of('M', LayerSpec.of(mamba), 'A', new LayerSpec(attention,
 * MlpConfig.gated(512)))); LanguageModel model = new LanguageModel(LanguageModelConfig.of(256, 192, layers), new Init(device, 42));
 * Tensor logits = model.forward(ids, SequenceInfo.of(ids));
 * }</pre>
 */
package dev.sequent.model;
