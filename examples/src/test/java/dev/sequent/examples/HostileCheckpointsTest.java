package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.sun.management.ThreadMXBean;
import dev.sequent.io.Json;
import dev.sequent.io.WeightStore;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelFiles;
import dev.sequent.tensor.Device;
import dev.sequent.testkit.Golden;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.ConfigException;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Checkpoints that are not what they claim to be: each is one typed error that says what was expected and what was given, leaves no tensor
 * behind, and takes no more memory than the tiny checkpoints themselves.
 */
class HostileCheckpointsTest {
    private static final long DEVICE_BYTES = 6 << 20;
    private static final long HEAP_BYTES = 24 << 20;
    private static final long SHARD_BYTES = 30_000;
    private static final String FIRST = "model.embed_tokens.weight";

    /** What is done to a good checkpoint. */
    private interface Damage {
        void to(Path checkpoint) throws IOException;
    }

    /** A checkpoint, what is wrong with it, and words of the message. */
    private record Case(String name, String family, boolean sharded, Damage damage, List<String> says) {
        @Override
        public String toString() {
            return family + ": " + name;
        }
    }

    @TempDir
    Path directory;

    static Stream<Case> cases() {
        return Stream.of(directories(), configurationFiles(), weightFiles(), headers(), tensors(), indices(), llama(), ropes(), gpt2(),
                mamba(), mamba2(), jamba(), original())
                .flatMap(List::stream);
    }

    @ParameterizedTest
    @MethodSource("cases")
    @Timeout(value = 10, unit = TimeUnit.SECONDS)
    void loadingIsOneTypedError(Case c) throws IOException {
        Path checkpoint = directory.resolve("checkpoint");
        good(c, checkpoint);
        c.damage.to(checkpoint);
        ThreadMXBean thread = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (Device device = Device.open("cpu", Map.of("threads", "1", "memoryLimit", Long.toString(DEVICE_BYTES)))) {
            long before = thread.getCurrentThreadAllocatedBytes();
            Throwable error = catchThrowable(() -> LanguageModel.load(checkpoint, device).close());
            long allocated = thread.getCurrentThreadAllocatedBytes() - before;
            assertThat(error).isInstanceOfAny(CheckpointException.class, ConfigException.class);
            assertThat(error.getMessage()).matches("(?s)\\[[^]]+] expected .+, given .*").hasSizeLessThan(6000);
            c.says.forEach(words -> assertThat(error).hasMessageContaining(words));
            assertThat(device.memory().liveHandles()).as("live tensors").isZero();
            assertThat(device.memory().liveBytes()).as("live bytes").isZero();
            assertThat(allocated).as("heap").isLessThan(HEAP_BYTES);
        }
    }

    private static void good(Case c, Path checkpoint) throws IOException {
        Files.createDirectories(checkpoint);
        try (Golden golden = Golden.open(c.family.equals("mamba_ssm") ? "mamba" : c.family)) {
            if (c.sharded || c.family.equals("mamba_ssm")) {
                try (Device device = Device.open("cpu",
                        Map.of("threads", "1")); LanguageModel model = LanguageModel.load(golden.directory(), device)) {
                    ModelFiles.save(model, checkpoint, c.family, c.sharded ? SHARD_BYTES : Long.MAX_VALUE);
                }
            } else {
                for (String name : List.of(ModelFiles.CONFIG, WeightStore.SINGLE)) {
                    Files.copy(golden.directory().resolve(name), checkpoint.resolve(name), StandardCopyOption.REPLACE_EXISTING);
                }
            }
        }
    }

    private static Case on(String name, String family, Damage damage, String... says) {
        return new Case(name, family, false, damage, List.of(says));
    }

    private static Case sharded(String name, Damage damage, String... says) {
        return new Case(name, "llama", true, damage, List.of(says));
    }

    private static List<Case> directories() {
        return List.of(
                on("missing directory", "llama", HostileCheckpointsTest::remove, "a directory with config.json"),
                on("empty directory", "llama", d -> {
                    remove(d);
                    Files.createDirectory(d);
                }, "config.json"),
                on("file instead of a directory", "llama", d -> {
                    remove(d);
                    Files.writeString(d, "{}");
                }, "the file"),
                on("no weights", "gpt2", d -> Files.delete(d.resolve(WeightStore.SINGLE)), WeightStore.SINGLE, WeightStore.INDEX),
                on("no configuration", "gpt2", d -> Files.delete(d.resolve(ModelFiles.CONFIG)), "config.json"),
                on("configuration is a directory", "mamba", d -> {
                    Files.delete(d.resolve(ModelFiles.CONFIG));
                    Files.createDirectory(d.resolve(ModelFiles.CONFIG));
                }, "the directory"),
                on("weights are a directory", "mamba", d -> {
                    Files.delete(d.resolve(WeightStore.SINGLE));
                    Files.createDirectory(d.resolve(WeightStore.SINGLE));
                }, "a safetensors file", "the directory"));
    }

    private static void remove(Path checkpoint) throws IOException {
        for (String name : List.of(ModelFiles.CONFIG, WeightStore.SINGLE)) {
            Files.delete(checkpoint.resolve(name));
        }
        Files.delete(checkpoint);
    }

    private static List<Case> configurationFiles() {
        return List.of(
                config("empty", _ -> "", "the end of the text"),
                config("not JSON", _ -> "hidden_size = 32", "a JSON value"),
                config("an array", _ -> "[1, 2]", "a JSON object"),
                config("a string", _ -> "\"llama\"", "a JSON object"),
                config("the tag of a float", _ -> "{\"__float__\": \"Infinity\"}", "a JSON object"),
                config("cut off", s -> s.substring(0, s.length() / 2), "given"),
                config("text after the object", s -> s + "}", "the end of the text"),
                config("duplicate key", s -> s.replaceFirst("\\{", "{\"hidden_size\": 8,"), "each member name once", "hidden_size"),
                config("not a number", s -> s.replaceFirst("\\{", "{\"x\": NaN,"), "a JSON value"),
                config("nested too deeply", s -> s.replaceFirst("\\{", "{\"x\": " + "[".repeat(200_000) + ","), "levels of nesting"),
                config("number beyond a double", s -> s.replaceFirst("\\{", "{\"x\": 1e999,"), "numbers of 64 bits"),
                config("integer beyond 64 bits", s -> s.replaceFirst("\\{", "{\"x\": 9223372036854775808,"), "numbers of 64 bits"),
                config("too large", s -> s + " ".repeat(1 << 23), "at most", "bytes of JSON"),
                config("no model_type", s -> s.replace("model_type", "modeltype"), "a model_type among", "llama"),
                config("unknown model_type", s -> s.replace("\"llama\"", "\"bert\""), "a model_type among", "'bert'"),
                config("model_type is a number", s -> s.replace("\"llama\"", "5"), "a model_type among", "'5'"),
                config("another family's model_type", s -> s.replace("\"llama\"", "\"gpt2\""), "gpt2"),
                on("invalid UTF-8", "llama", d -> Files.write(d.resolve(ModelFiles.CONFIG), new byte[] {'{', '"', (byte) 0xC3, '"', ':',
                        '1', '}'}), "valid UTF-8"));
    }

    private static Case config(String name, UnaryOperator<String> change, String... says) {
        return on("config.json: " + name, "llama", d -> {
            Path file = d.resolve(ModelFiles.CONFIG);
            Files.writeString(file, change.apply(Files.readString(file)));
        }, says);
    }

    private static List<Case> weightFiles() {
        List<Case> cases = new ArrayList<>();
        int[] kept = {0, 4, 8, 9, 500, -20_000, -1};
        for (int n : kept) {
            cases.add(on("truncated, " + n, "gpt2", d -> weights(d, b -> Arrays.copyOf(b, n < 0 ? b.length + n : n)), "given"));
        }
        cases.add(on("a byte more", "mamba", d -> weights(d, b -> Arrays.copyOf(b, b.length + 1)), "after the last tensor"));
        long[] lengths = {0, 1, 1L << 26, 1L << 40, Long.MAX_VALUE, -1};
        for (long length : lengths) {
            cases.add(on("header length " + length, "llama", d -> weights(d, b -> {
                ByteBuffer.wrap(b).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
                return b;
            }), "header"));
        }
        return cases;
    }

    private static void weights(Path checkpoint, UnaryOperator<byte[]> change) throws IOException {
        Path file = checkpoint.resolve(WeightStore.SINGLE);
        Files.write(file, change.apply(Files.readAllBytes(file)));
    }

    /** Rewrites the text of the header; the data stays. */
    private static Case header(String name, UnaryOperator<String> change, String... says) {
        return on("header: " + name, "llama", d -> weights(d, b -> {
            int length = (int) ByteBuffer.wrap(b).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
            byte[] json = change.apply(new String(b, 8, length, StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8);
            ByteBuffer all = ByteBuffer.allocate(8 + json.length + b.length - 8 - length).order(ByteOrder.LITTLE_ENDIAN);
            return all.putLong(json.length).put(json).put(b, 8 + length, b.length - 8 - length).array();
        }), says);
    }

    /** Changes members of one tensor's entry. */
    private static Case entry(String name, Map<String, Object> members, String... says) {
        return header(name, s -> {
            Map<String, Object> header = object(s);
            @SuppressWarnings("unchecked")
            Map<String, Object> tensor = (Map<String, Object>) header.get(FIRST);
            tensor.putAll(members);
            return Json.ofJava(header).write();
        }, says);
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> object(String json) {
        return (Map<String, Object>) Json.parse(ByteBuffer.wrap(json.getBytes(StandardCharsets.UTF_8)), Json.Dialect.PYTHON, "test",
                CheckpointException::new).toJava();
    }

    private static List<Case> headers() {
        return List.of(
                header("not JSON", _ -> "tensors", "starts with '{'"),
                header("an array", _ -> "[]", "starts with '{'"),
                header("cut off", s -> s.substring(0, s.length() - 30), "given"),
                header("empty", _ -> "{}", "bytes after the last tensor"),
                header("nested deeply", _ -> "{\"a\":" + "{\"a\":".repeat(100_000), "dtype, shape and data_offsets"),
                header("tensor twice", s -> s.replace("\"model.norm.weight\"", "\"lm_head.weight\""), "each member name once"),
                header("metadata with numbers", s -> s.replace("\"pt\"", "5"), "a string"),
                entry("unknown dtype", Map.of("dtype", "F8_E4M3"), "F8_E4M3", FIRST),
                entry("dtype is a number", Map.of("dtype", 32), "a string"),
                entry("dtype too wide", Map.of("dtype", "F64"), FIRST, "bytes"),
                entry("negative size", Map.of("shape", List.of(-97, -32)), "2^63-1"),
                entry("shape product overflows", Map.of("shape", List.of(1L << 32, 1L << 32)), "fewer than 2^63 elements"),
                entry("byte count overflows", Map.of("shape", List.of(Long.MAX_VALUE)), "fewer than 2^63 bytes"),
                entry("shape does not fit its bytes", Map.of("shape", List.of(97, 33)), FIRST, "bytes"),
                entry("sizes are strings", Map.of("shape", List.of("97", "32")), "an integer"),
                entry("a hundred axes", Map.of("shape", Collections.nCopies(100, 1)), "axes"),
                entry("negative offset", Map.of("data_offsets", List.of(-1, 12_415)), "2^63-1"),
                entry("offsets swapped", Map.of("data_offsets", List.of(12_416, 0)), FIRST),
                entry("offset beyond 64 bits", Map.of("data_offsets", List.of(0, 1e19)), "2^63-1"),
                entry("offsets far away", Map.of("data_offsets", List.of(1L << 50, (1L << 50) + 12_416)), "hole"),
                entry("range over another tensor", Map.of("data_offsets", List.of(4, 12_420)), FIRST),
                entry("one offset", Map.of("data_offsets", List.of(0)), "two data_offsets"));
    }

    /** Stores the same data under other names, shapes or types. */
    private static Case renamed(String name, String family, UnaryOperator<String> change, String... says) {
        Case llama = header(name, change, says);
        return new Case(llama.name, family, false, llama.damage, llama.says);
    }

    private static List<Case> tensors() {
        return List.of(
                renamed("a missing and an unexpected tensor", "llama", s -> s.replace("model.norm.weight", "model.norm.scale"),
                        "model.norm.weight", "model.norm.scale"),
                renamed("a layer too many", "llama", s -> s.replace("layers.1.", "layers.2."), "model.layers.1.", "model.layers.2."),
                renamed("a layer's number with a zero", "llama", s -> s.replace("layers.1.", "layers.01."), "model.layers.01."),
                renamed("names of another family", "llama", s -> s.replace("model.", "backbone."), "tensor"),
                renamed("fused tensor under another name", "gpt2", s -> s.replace("h.1.attn.c_attn.weight", "h.1.attn.c_atn.weight"),
                        "c_attn", "c_atn"),
                renamed("matrix the other way round", "llama", s -> s.replaceFirst("\\[48,32]", "[32,48]"), "(48, 32)", "(32, 48)"),
                renamed("fused matrix the other way round", "gpt2", s -> s.replaceFirst("\\[32,96]", "[96,32]"), "(32, 96)", "(96, 32)"),
                renamed("vector as a matrix", "mamba", s -> s.replaceFirst("\\[24]", "[24,1]"), "(24)", "(24, 1)"),
                renamed("integers", "mamba", s -> s.replaceFirst("\"F32\",\"shape\":\\[24]", "\"I32\",\"shape\":[24]"), "floating-point",
                        "I32"),
                renamed("scalar", "llama", s -> s.replaceFirst("\\[97,32]", "[97,32,1,1]"), "(97, 32)"));
    }

    private static Case index(String name, Consumer<Map<String, Object>> change, String... says) {
        return sharded("index: " + name, d -> {
            Path file = d.resolve(WeightStore.INDEX);
            Map<String, Object> index = object(Files.readString(file));
            change.accept(index);
            Files.writeString(file, Json.ofJava(index).write());
        }, says);
    }

    private static Case shard(String name, Object value, String... says) {
        return index(name, i -> weightMap(i).put(FIRST, value), says);
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> weightMap(Map<String, Object> index) {
        return (Map<String, Object>) index.get("weight_map");
    }

    private static List<Case> indices() {
        return List.of(
                shard("absolute path", "/etc/passwd", "plain name", "/etc/passwd"),
                shard("parent path", "../model.safetensors", "plain name"),
                shard("the parent itself", "..", "plain name"),
                shard("path below", "deeper/model.safetensors", "plain name"),
                shard("path with a backslash", "..\\model.safetensors", "plain name"),
                shard("control character", "model\0.safetensors", "plain name"),
                shard("empty name", "", "plain name"),
                shard("number", 7, "a string"),
                shard("missing shard", "model-00009-of-00009.safetensors", "a safetensors file", "missing"),
                shard("wrong shard", "model-00002-of-00004.safetensors", FIRST),
                index("shard with a tensor that is not listed", i -> weightMap(i).remove(FIRST), FIRST),
                index("no weight_map", i -> i.remove("weight_map"), "weight_map"),
                index("weight_map is an array", i -> i.put("weight_map", List.of()), "an object"),
                index("nothing listed", i -> i.put("weight_map", Map.of()), "at least one tensor"),
                sharded("index: an array", d -> Files.writeString(d.resolve(WeightStore.INDEX), "[]"), "an object"),
                sharded("index: duplicate name", d -> Files.writeString(d.resolve(WeightStore.INDEX),
                        "{\"weight_map\": {\"a\": \"b\", \"a\": \"c\"}}"), "once"),
                sharded("index: cut off", d -> Files.writeString(d.resolve(WeightStore.INDEX), "{\"weight_map\": {"), "given"),
                sharded("index: a shard is a directory", d -> {
                    Files.delete(d.resolve("model-00001-of-00004.safetensors"));
                    Files.createDirectory(d.resolve("model-00001-of-00004.safetensors"));
                }, "the directory"),
                sharded("index: a shard is a link to elsewhere", d -> {
                    Path shard = d.resolve("model-00001-of-00004.safetensors");
                    Path elsewhere = d.resolveSibling("elsewhere.safetensors");
                    Files.move(shard, elsewhere);
                    Files.createSymbolicLink(shard, elsewhere);
                }, "a link"),
                sharded("index: a shard is a link to itself", d -> {
                    Path shard = d.resolve("model-00001-of-00004.safetensors");
                    Files.delete(shard);
                    Files.createSymbolicLink(shard, shard);
                }, "model-00001"),
                sharded("index: a truncated shard", d -> {
                    Path shard = d.resolve("model-00002-of-00004.safetensors");
                    Files.write(shard, Arrays.copyOf(Files.readAllBytes(shard), 3000));
                }, "truncated"));
    }

    private static Case value(String family, String key, Object value, String... says) {
        return on(key + " = " + value, family, d -> {
            Path file = d.resolve(ModelFiles.CONFIG);
            Map<String, Object> config = object(Files.readString(file));
            config.put(key, value);
            Files.writeString(file, Json.ofJava(config).write());
        }, says);
    }

    private static Case without(String family, String key) {
        return on("without " + key, family, d -> {
            Path file = d.resolve(ModelFiles.CONFIG);
            Map<String, Object> config = object(Files.readString(file));
            config.remove(key);
            Files.writeString(file, Json.ofJava(config).write());
        }, key);
    }

    private static List<Case> llama() {
        String f = "llama";
        return List.of(
                value(f, "hidden_size", 0, "hidden_size", "0"), value(f, "hidden_size", -32, "hidden_size"),
                value(f, "hidden_size", 1L << 31, "an integer"),
                value(f, "hidden_size", "32", "an integer", "hidden_size"), value(f, "hidden_size", 32.5, "an integer"),
                value(f, "hidden_size", true, "an integer"), value(f, "hidden_size", List.of(32), "an integer"), without(f, "hidden_size"),
                value(f, "hidden_size", 64, FIRST), value(f, "num_hidden_layers", 0, "num_hidden_layers"),
                value(f, "num_hidden_layers", 1_000_000_000, "num_hidden_layers"), value(f, "num_hidden_layers", 10_000, "10000 layers"),
                value(f, "num_hidden_layers", 3, "model.layers.2."), value(f, "num_hidden_layers", 1, "model.layers.1."),
                value(f, "num_attention_heads", 0, "num_attention_heads"), value(f, "num_attention_heads", 3, "num_attention_heads"),
                value(f, "num_key_value_heads", 3, "num_key_value_heads", "3"), value(f, "num_key_value_heads", 0, "num_key_value_heads"),
                value(f, "num_key_value_heads", 8, "num_key_value_heads"), value(f, "head_dim", 0, "head_dim"),
                value(f, "head_dim", 7, "even"),
                value(f, "head_dim", 16, "self_attn"), value(f, "head_dim", 1 << 29, "stored values"),
                value(f, "intermediate_size", 0, "intermediate_size"), value(f, "intermediate_size", Integer.MAX_VALUE, "stored values"),
                value(f, "vocab_size", 98, FIRST, "(98, 32)", "(97, 32)"), value(f, "vocab_size", Integer.MAX_VALUE, FIRST),
                without(f, "vocab_size"),
                value(f, "rms_norm_eps", 0, "norm_eps"), value(f, "rms_norm_eps", -1e-6, "norm_eps"),
                value(f, "rms_norm_eps", "small", "a number"),
                value(f, "rms_norm_eps", Double.POSITIVE_INFINITY, "norm_eps"),
                value(f, "rms_norm_eps", Map.of("__float__", "NaN"), "given"),
                value(f, "hidden_act", "relu", "silu", "relu"), value(f, "hidden_act", 3, "silu"),
                value(f, "attention_dropout", 1.5, "attention_dropout"),
                value(f, "tie_word_embeddings", "yes", "true or false"), value(f, "tie_word_embeddings", true, "lm_head.weight",
                        "tie_word_embeddings"),
                value(f, "attention_bias", true, "q_proj.bias"), value(f, "mlp_bias", true, "gate_proj.bias"),
                value(f, "initializer_range", -1, "initializer_range"), value(f, "max_position_embeddings", -5, "max_position_embeddings"),
                value(f, "logit_scale", 2, "unknown keys", "logit_scale"), value(f, "quantization_config", Map.of("bits", 4),
                        "quantization_config"),
                value(f, "is_encoder_decoder", true, "is_encoder_decoder"), value(f, "pruned_heads", Map.of("0", List.of(1)),
                        "pruned_heads"));
    }

    private static Case rope(String name, Map<String, Object> parameters, String... says) {
        Case c = value("llama", "rope_parameters", parameters, says);
        return new Case("rope: " + name, c.family, false, c.damage, c.says);
    }

    private static List<Case> ropes() {
        return List.of(
                rope("unknown type", Map.of("rope_type", "spiral"), "linear, dynamic, yarn, longrope, llama3", "spiral"),
                rope("type is a number", Map.of("rope_type", 3), "a string"),
                rope("no factor", Map.of("rope_type", "linear"), "factor"),
                rope("factor is text", Map.of("rope_type", "linear", "factor", "2"), "a number"),
                rope("negative factor", Map.of("rope_type", "dynamic", "factor", -2), "factor"),
                rope("infinite factor", Map.of("rope_type", "linear", "factor", Double.POSITIVE_INFINITY), "factor"),
                rope("unknown key", Map.of("rope_type", "linear", "factor", 2, "speed", 1), "speed"),
                rope("theta 0", Map.of("rope_type", "default", "rope_theta", 0), "rope_theta"),
                rope("theta of text", Map.of("rope_type", "default", "rope_theta", "big"), "a number"),
                rope("yarn with exchanged betas", Map.of("rope_type", "yarn", "factor", 2, "beta_fast", 1, "beta_slow", 32), "beta_fast"),
                rope("longrope without factors", Map.of("rope_type", "longrope", "original_max_position_embeddings", 8), "short_factor"),
                rope("longrope of another width", Map.of("rope_type", "longrope", "original_max_position_embeddings", 8, "short_factor",
                        List.of(1, 2), "long_factor", List.of(1, 2)), "per pair, 4"),
                rope("llama3 without frequencies", Map.of("rope_type", "llama3", "factor", 8, "original_max_position_embeddings", 8),
                        "low_freq_factor"),
                rope("original length 0", Map.of("rope_type", "yarn", "factor", 8, "original_max_position_embeddings", 0),
                        "original_max_position_embeddings"),
                value("llama", "rope_scaling", Map.of("type", "linear", "factor", 2), "equal rope_scaling and rope_parameters"),
                value("llama", "rope_scaling", "linear", "an object"), value("llama", "rope_theta", 7, "equal rope_theta"));
    }

    private static List<Case> gpt2() {
        String f = "gpt2";
        return List.of(
                value(f, "n_embd", 0, "n_embd"), value(f, "n_embd", "32", "an integer"), value(f, "n_head", 5, "n_head", "5"),
                value(f, "n_head", 0, "n_head"),
                value(f, "n_layer", 0, "n_layer"), value(f, "n_layer", Integer.MAX_VALUE, "n_layer"),
                value(f, "n_layer", 3, "transformer.h.2."),
                value(f, "n_positions", 0, "n_positions"), value(f, "n_positions", 65, "wpe", "(65, 32)"),
                value(f, "n_positions", Integer.MAX_VALUE, "wpe"), value(f, "n_inner", 0, "n_inner"),
                value(f, "n_inner", Integer.MAX_VALUE, "stored values"),
                value(f, "n_inner", 64, "mlp.c_fc", "(32, 64)"), value(f, "vocab_size", 96, "wte"),
                value(f, "activation_function", "relu", "gelu", "relu"),
                value(f, "scale_attn_weights", false, "scale_attn_weights"), value(f, "scale_attn_by_inverse_layer_idx", true,
                        "scale_attn_by_inverse"),
                value(f, "add_cross_attention", true, "add_cross_attention"), value(f, "resid_pdrop", 0.5, "resid_pdrop"),
                value(f, "attn_pdrop", -1, "attention_dropout"), value(f, "layer_norm_epsilon", 0, "norm_eps"),
                value(f, "tie_word_embeddings", false, "lm_head.weight"), value(f, "use_rotary", true, "use_rotary"));
    }

    private static List<Case> mamba() {
        String f = "mamba";
        return List.of(
                value(f, "state_size", 0, "state_size"), value(f, "state_size", 16, "mixer"),
                value(f, "state_size", Integer.MAX_VALUE, "stored values"),
                value(f, "conv_kernel", 1, "conv_kernel"), value(f, "conv_kernel", 1_000_000_000, "stored values"),
                value(f, "expand", 0, "expand"),
                value(f, "expand", 1_000_000_000, "expand"), value(f, "expand", "2", "an integer"),
                value(f, "intermediate_size", 47, "mixer", "47"),
                value(f, "intermediate_size", -1, "intermediate_size"), value(f, "intermediate_size", 0, "intermediate_size"),
                value(f, "time_step_rank", "big", "time_step_rank"), value(f, "time_step_rank", 0, "time_step_rank"),
                value(f, "time_step_rank", 1_000_000_000, "stored values"), value(f, "time_step_min", 0, "time_step_min"),
                value(f, "time_step_init_scheme", "ones", "time_step_init_scheme"), value(f, "hidden_act", "gelu", "silu"),
                value(f, "layer_norm_epsilon", -1, "norm_eps"), value(f, "use_bias", true, "in_proj.bias"),
                value(f, "use_conv_bias", false, "conv1d.bias"),
                value(f, "hidden_size", 25, "embeddings"), value(f, "num_hidden_layers", -1, "num_hidden_layers"),
                value(f, "n_groups", 2, "n_groups"));
    }

    private static List<Case> mamba2() {
        String f = "mamba2";
        return List.of(
                value(f, "num_heads", 7, "num_heads"), value(f, "num_heads", 0, "num_heads"), value(f, "head_dim", 0, "head_dim"),
                value(f, "head_dim", 7, "head_dim"),
                value(f, "n_groups", 3, "n_groups"), value(f, "n_groups", 0, "n_groups"), value(f, "n_groups", 2, "mixer"),
                value(f, "state_size", Integer.MAX_VALUE, "stored values"), value(f, "conv_kernel", 0, "conv_kernel"),
                value(f, "chunk_size", 0, "chunk_size"),
                value(f, "expand", 4, "num_heads"), value(f, "time_step_limit", List.of(1), "two numbers"),
                value(f, "time_step_limit", List.of(2, 1), "time_step_limit"), value(f, "rms_norm", false, "rms_norm"),
                value(f, "layer_norm_epsilon", "x", "a number"), value(f, "hidden_act", "relu", "silu"));
    }

    private static List<Case> jamba() {
        String f = "jamba";
        return List.of(
                value(f, "attn_layer_period", 0, "attn_layer"), value(f, "attn_layer_offset", 9, "attn_layer"),
                value(f, "expert_layer_period", -1, "expert_layer"),
                value(f, "num_experts", 3, "experts.3."), value(f, "num_experts", 0, "num_experts"),
                value(f, "num_experts_per_tok", 5, "num_experts_per_tok"),
                value(f, "num_experts", Integer.MAX_VALUE, "given"), value(f, "mamba_d_state", 0, "state_size"),
                value(f, "mamba_expand", "2", "an integer"),
                value(f, "num_attention_heads", 5, "num_attention_heads"), value(f, "intermediate_size", 0, "intermediate_size"));
    }

    private static Case ssm(String name, Map<String, Object> cfg, String... says) {
        Case c = value("mamba_ssm", "ssm_cfg", cfg, says);
        return new Case(name, c.family, false, c.damage, c.says);
    }

    private static List<Case> original() {
        String f = "mamba_ssm";
        return List.of(
                value(f, "d_model", 0, "d_model"), value(f, "n_layer", 1 << 30, "n_layer"),
                value(f, "attn_layer_idx", List.of(1), "attn_layer_idx"),
                value(f, "d_intermediate", 64, "d_intermediate"), value(f, "pad_vocab_size_multiple", 0, "pad_vocab_size_multiple"),
                value(f, "pad_vocab_size_multiple", Integer.MAX_VALUE, "embedding"), value(f, "rms_norm", false, "norm.bias"),
                value(f, "ssm_cfg", 5, "an object"), ssm("unknown layer", Map.of("layer", "Mamba3"), "Mamba"),
                ssm("unknown option", Map.of("rope_fraction", 0.5), "rope_fraction"),
                ssm("d_state of text", Map.of("d_state", "16"), "an integer"),
                ssm("huge d_state", Map.of("d_state", Integer.MAX_VALUE), "stored values"),
                ssm("another layer", Map.of("layer", "Mamba2", "headdim", 8, "d_state", 8), "tensors of the model"),
                ssm("heads that do not fit", Map.of("layer", "Mamba2", "headdim", 7), "num_heads"));
    }

    /** The unchanged checkpoints load under the same limits: the errors above come from the damage. */
    @ParameterizedTest
    @ValueSource(strings = {"llama", "gpt2", "mamba", "mamba2", "jamba", "mamba_ssm", "llama in shards"})
    void undamagedCheckpointsLoad(String name) throws IOException {
        Path checkpoint = directory.resolve("checkpoint");
        good(new Case(name, name.split(" ")[0], name.contains("shards"), _ -> {}, List.of()), checkpoint);
        if (name.contains("shards")) {
            assertThat(checkpoint.resolve("model-00004-of-00004.safetensors")).exists();
        }
        try (Device device = Device.open("cpu", Map.of("threads", "1", "memoryLimit", Long.toString(DEVICE_BYTES)));
                LanguageModel model = LanguageModel.load(checkpoint, device)) {
            assertThat(model.parameterCount()).isPositive();
        }
    }
}
