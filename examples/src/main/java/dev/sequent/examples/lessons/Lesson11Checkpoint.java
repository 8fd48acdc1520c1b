package dev.sequent.examples.lessons;

import static dev.sequent.examples.lessons.Lessons.say;

import dev.sequent.io.SafetensorsFile;
import dev.sequent.io.StoredTensor;
import dev.sequent.io.WeightStore;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.model.ModelDescription;
import dev.sequent.model.ModelFiles;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.CheckpointException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;

/**
 * A checkpoint is a directory: {@code config.json} says what the model is, {@code model.safetensors} holds its numbers. The second is
 * simple enough to write by hand: a length, a list of names with types, shapes and places, and then the numbers. Nothing in it can run,
 * which is why one may load a stranger's.
 */
public final class Lesson11Checkpoint {
    private static final int PREFIX = 8;

    private Lesson11Checkpoint() {}

    /** Runs the lesson. */
    public static void run() {
        try (Device device = Device.openBest()) {
            Path directory = Files.createTempDirectory("lesson11");
            try {
                byHand(directory.resolve("hand.safetensors"));
                try (LanguageModel model = new LanguageModel(config(), new Init(device, 1))) {
                    aModel(model, directory.resolve("own"));
                    otherNames(model, directory.resolve("llama"));
                    inPieces(model, directory.resolve("pieces"), device);
                }
                oneNumber(directory.resolve("own"), device);
                broken(directory.resolve("own"), device);
            } finally {
                delete(directory);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The whole format: 8 bytes with the header's length, the header in JSON, the numbers. All numbers are little-endian. */
    private static void byHand(Path file) throws IOException {
        String header = """
                {"greeting":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}""";
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes = ByteBuffer.allocate(PREFIX + json.length + 24).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(json.length).put(json);
        for (int i = 1; i <= 6; i++) {
            bytes.putFloat(i * 1.5f);
        }
        Files.write(file, bytes.array());
        say("by hand: %d bytes, the first eight are %s, a header of %d bytes", bytes.capacity(),
                HexFormat.ofDelimiter(" ").formatHex(bytes.array(), 0, PREFIX), json.length);
        try (SafetensorsFile read = SafetensorsFile.open(file)) {
            StoredTensor t = read.tensor("greeting");
            float last = read.data("greeting").get(ValueLayout.JAVA_FLOAT_UNALIGNED, t.bytes() - Float.BYTES);
            say("read back: %s %s %s, %d bytes, its last number is %.1f", t.name(), t.dtype(), t.shape(), t.bytes(), last);
        }
    }

    /** One layer of attention over a vocabulary of 5. */
    private static LanguageModelConfig config() {
        LayerSpec layer = new LayerSpec(AttentionConfig.of(2), MlpConfig.gated(12));
        return new LanguageModelConfig(5, 8, List.of(layer), "rms", 1e-5, false, 0, 0, 0.3);
    }

    /** The configuration rebuilds the model, the names put every number into its place. */
    private static void aModel(LanguageModel model, Path directory) throws IOException {
        model.save(directory);
        say("a model is saved as %s", names(directory));
        say("config.json begins %s ...", Files.readString(directory.resolve(ModelFiles.CONFIG)).replaceAll("\\s+", " ").substring(0, 60));
        try (WeightStore store = WeightStore.open(directory)) {
            for (StoredTensor t : store.tensors()) {
                say("  %-34s %s %-8s %4d bytes", t.name(), t.dtype(), t.shape(), t.bytes());
            }
        }
        // what it is, from the configuration and the header, without reading a single weight
        ModelDescription described = ModelDescription.of(directory);
        say("described: %d parameters in %s", described.parameters(), ModelDescription.bytes(described.bytes()));
    }

    /** Public formats have other names for the same things. A family translates them, both ways. */
    private static void otherNames(LanguageModel model, Path directory) throws IOException {
        ModelFiles.save(model, directory, "llama", ModelFiles.MAX_SHARD_BYTES);
        try (WeightStore store = WeightStore.open(directory)) {
            say("as llama: %s", store.tensors().stream().map(StoredTensor::name).filter(n -> n.contains(".0.self_attn.")).toList());
        }
    }

    /** Large checkpoints come in several files, and an index says which tensor is where. */
    private static void inPieces(LanguageModel model, Path directory, Device device) throws IOException {
        ModelFiles.save(model, directory, ModelFiles.OWN, 1200);
        say("in pieces of at most 1200 bytes: %s", names(directory));
        String index = Files.readString(directory.resolve(WeightStore.INDEX));
        say("the index: %s", index.lines().filter(l -> l.contains("norm_f.weight")).findFirst().orElseThrow().strip());
        try (LanguageModel loaded = LanguageModel.load(directory, device)) {
            say("loaded from the pieces, it computes the same: %s", Arrays.equals(logits(loaded), logits(model)));
        }
    }

    /** A weight is four bytes at a place that the header names. Here one number of the output head, row 3: it can only change logit 3. */
    private static void oneNumber(Path directory, Device device) throws IOException {
        float[] before;
        try (LanguageModel model = LanguageModel.load(directory, device)) {
            before = logits(model);
        }
        Path file = directory.resolve(WeightStore.SINGLE);
        byte[] bytes = Files.readAllBytes(file);
        int headerLength = Math.toIntExact(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong());
        String header = new String(bytes, PREFIX, headerLength, StandardCharsets.UTF_8);
        String place = header.replaceAll(".*\"lm_head.weight\":\\{[^}]*\"data_offsets\":\\[(\\d+),.*", "$1");
        long at = PREFIX + headerLength + Long.parseLong(place.strip()) + 3 * 8 * Float.BYTES; // row 3 of (V, D) = (5, 8), column 0
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.allocate(Float.BYTES).order(ByteOrder.LITTLE_ENDIAN).putFloat(0, 9), at);
        }
        try (LanguageModel model = LanguageModel.load(directory, device)) {
            float[] after = logits(model);
            StringBuilder changed = new StringBuilder();
            for (int i = 0; i < after.length; i++) {
                changed.append(after[i] == before[i] ? " same" : " CHANGED");
            }
            say("lm_head.weight[3, 0] is 9 now; logits 0 to 4:%s", changed);
        }
    }

    /** A reader that believes what a file says about itself can be made to read anything. This one checks first. */
    private static void broken(Path directory, Device device) throws IOException {
        Path file = directory.resolve(WeightStore.SINGLE);
        byte[] bytes = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(bytes, bytes.length - 1));
        refused("a byte is missing", directory, device);
        byte[] huge = bytes.clone();
        huge[5] = 1; // the header's length, 2^40 more
        Files.write(file, huge);
        refused("the header claims a terabyte", directory, device);
        Files.write(file, new String(bytes, StandardCharsets.ISO_8859_1).replace("norm_f", "norm_g").getBytes(StandardCharsets.ISO_8859_1));
        refused("a name is misspelt", directory, device);
    }

    private static void refused(String what, Path directory, Device device) {
        try (LanguageModel model = LanguageModel.load(directory, device)) {
            say("wrong: %s, and %d parameters were loaded all the same", what, model.parameterCount());
        } catch (CheckpointException e) {
            say("refused, %s: %s", what, e.getMessage());
        }
    }

    /** The logits after the tokens 1 2 3 4. */
    private static float[] logits(LanguageModel model) {
        try (Scope _ = Scope.open()) {
            return model.forward(model.ids(new int[] {1, 2, 3, 4}, 1, 4), SequenceInfo.of(1, 4)).select(1, 3)
                    .toFloats(); // (1, T, V) -> (1, V)
        }
    }

    private static List<String> names(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(f -> f.getFileName().toString()).sorted().toList();
        }
    }

    private static void delete(Path directory) throws IOException {
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    // HOW TO RUN
    //
    //     mvn -q -Plessons process-classes -Dlesson=11
    //
    // You should see a file of 96 bytes that begins with 40 00 00 00, twelve tensors of a model and their names as llama's, the same model
    // in several files, one changed logit after one changed number, and three broken files refused in a sentence each. To look at a
    // checkpoint of your own: mvn -q -Pgenerate process-classes -Dargs="--model DIR --describe".
}
