package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.io.Json;
import dev.sequent.model.CheckpointFamilies;
import dev.sequent.model.CheckpointFamily;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.model.ModelFiles;
import dev.sequent.nn.Init;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.tensor.Device;
import dev.sequent.testkit.CheckpointFamilyLaws;
import dev.sequent.testkit.Golden;
import dev.sequent.testkit.GoldenCheck;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The Jamba family, which needs state-space and attention layers: files, configurations, and the numbers of the reference implementation.
 */
class JambaFamilyTest extends CheckpointFamilyLaws {
    private static final MambaConfig MAMBA = new MambaConfig(16, 4, 2, 0, 0, 1, 1e-3, 1e-1, 1e-4, "random", false, true, false, 1e-6);
    private static final AttentionConfig ATTENTION = AttentionConfig.of(4).withRopeTheta(0);
    private static final MlpConfig DENSE = MlpConfig.gated(20);
    private static final MlpConfig MIXTURE = MlpConfig.mixture(20, 4, 2);

    JambaFamilyTest() {
        super("jamba");
    }

    /** Agreement in F64 ends where transformers computes A, step sizes, norms and the router's softmax in F32. */
    @ParameterizedTest
    @CsvSource({"reference,F64,5e-7,1e-6,1e-8", "cpu,F32,1e-6,4e-6,2e-7"})
    void modelAgreesWithTransformers(String backend, DType dtype, double outputs, double gradients, double losses) {
        try (Golden golden = Golden.open("jamba"); Device device = Device.open(backend); LanguageModel model =
                LanguageModel.load(golden.directory(), device, dtype)) {
            new GoldenCheck(golden, model).errors().expectWithin(outputs, gradients, losses);
        }
    }

    @Test
    void periodsAndOffsetsPlaceAttentionAndExperts() {
        LanguageModelConfig config;
        try (Golden golden = Golden.open("jamba")) {
            config = ModelFiles.config(golden.directory());
        }
        StringBuilder layers = new StringBuilder();
        for (LayerSpec layer : config.layers()) {
            layers.append(layer.mixer().type().charAt(0)).append(layer.mlp().num_experts()).append(' ');
        }
        assertThat(layers.toString()).isEqualTo("m0 a4 m0 m4 ");
        assertThat(config.layers().get(1).mixer()).isEqualTo(new AttentionConfig(4, 2, 0, 0, 1, false, false, 1e-6, 0, 0, 0.02));
        assertThat(((MambaConfig) config.layers().getFirst().mixer()).select_norm_eps()).isEqualTo(1e-6);
    }

    private static LanguageModelConfig config(String pattern) {
        Map<Character, LayerSpec> letters = Map.of('m', new LayerSpec(MAMBA, DENSE), 'M', new LayerSpec(MAMBA, MIXTURE),
                'a', new LayerSpec(ATTENTION, DENSE), 'A', new LayerSpec(ATTENTION, MIXTURE));
        return new LanguageModelConfig(13, 16, LayerPattern.parse(pattern, letters), "rms", 1e-6, false, 0, 0, 0.02);
    }

    @ParameterizedTest
    @CsvSource({"m", "a", "A", "mM", "mamM", "MaMa", "mAmAmA", "mmmmammm", "aMm", "mmAmmAmm"})
    void repeatingLayersAreWrittenAndRead(String pattern) {
        CheckpointFamily family = CheckpointFamilies.named("jamba");
        LanguageModelConfig config = config(pattern);
        assertThat(family.refusal(config)).isEmpty();
        assertThat(family.parse(family.write(config))).isEqualTo(config);
    }

    @Test
    void whatJambaCannotExpressIsRefusedWithAReason() {
        CheckpointFamily family = CheckpointFamilies.named("jamba");
        for (String pattern : List.of("maam", "mMMm", "MmMM")) {
            assertThat(family.refusal(config(pattern)).orElseThrow()).as(pattern).contains("repeat");
        }
        assertThat(family.refusal(with(new LayerSpec(S4dConfig.defaults(), DENSE))).orElseThrow()).contains("neither");
        assertThat(family.refusal(with(LayerSpec.of(MAMBA))).orElseThrow()).contains("feed-forward");
        assertThat(family.refusal(with(new LayerSpec(MambaConfig.defaults(), DENSE)))).isPresent();
        assertThat(family.refusal(with(new LayerSpec(AttentionConfig.of(4), DENSE)))).isPresent();
        assertThat(family.refusal(with(new LayerSpec(MAMBA, new MlpConfig("gelu", 20, false))))).isPresent();
        assertThat(family.refusal(with(new LayerSpec(MAMBA, new MlpConfig("gated", 20, false, 4, 2, true, 0))))).isPresent();
        assertThat(family.refusal(with(new LayerSpec(MAMBA, MIXTURE)).withDropout(0.1))).isPresent();
        assertThat(family.refusal(with(new LayerSpec(MambaConfig.defaults().withSelectNorm(1e-6), DENSE)))).as("other initial values only")
                .isEmpty();
        assertThat(CheckpointFamilies.named("mamba").refusal(with(LayerSpec.of(MAMBA))).orElseThrow()).contains("norms of dt");
    }

    private static LanguageModelConfig with(LayerSpec layer) {
        return new LanguageModelConfig(13, 16, List.of(layer), "rms", 1e-6, false, 0, 0, 0.02);
    }

    @Test
    void theLoadBalancingLossFollowsItsSwitch() {
        CheckpointFamily family = CheckpointFamilies.named("jamba");
        Map<String, Object> values = new LinkedHashMap<>(family.write(config("mM")));
        values.put("router_aux_loss_coef", 0.25);
        assertThat(family.parse(values).layers().get(1).mlp().router_aux_loss_coef()).isZero();
        values.put("output_router_logits", true);
        assertThat(family.parse(values).layers().get(1).mlp().router_aux_loss_coef()).isEqualTo(0.25);
        assertThat(family.parse(family.write(family.parse(values)))).isEqualTo(family.parse(values));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"attn_layer_offset|8", "attn_layer_period|0", "expert_layer_offset|-1", "expert_layer_period|1.5",
            "num_experts|0",
        "num_experts_per_tok|5", "num_experts_per_tok|0", "num_key_value_heads|3", "num_attention_heads|5", "mamba_d_conv|1",
        "mamba_d_state|0", "mamba_expand|2000000000", "mamba_dt_rank|\"large\"", "mamba_inner_layernorms|false", "sliding_window|64",
        "hidden_act|\"gelu\"", "rms_norm_eps|0", "rope_theta|10000", "mamba_chunk|7", "num_hidden_layers|1000000",
        "router_aux_loss_coef|-1"})
    void wrongConfigurationsAreTypedErrors(String key, String value) {
        CheckpointFamily family = CheckpointFamilies.named("jamba");
        Map<String, Object> values = new LinkedHashMap<>(family.write(config("mAmM")));
        values.put("output_router_logits", true);
        values.put(key, Json.parse(value, "test", CheckpointException::new).toJava());
        if (key.equals("num_attention_heads")) {
            // divisibility by the width is known when the layer is made
            values.put("num_key_value_heads", 1);
            try (Device device = Device.open("cpu")) {
                assertThatThrownBy(() -> new LanguageModel(family.parse(values), new Init(device, 1))).isInstanceOf(ConfigException.class);
            }
            return;
        }
        assertThatThrownBy(() -> family.parse(values)).isInstanceOf(ConfigException.class);
    }
}
