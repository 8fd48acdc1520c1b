package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.generate.BeamSearch;
import dev.sequent.generate.EarlyStopping;
import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.testkit.Golden;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Beam searches of Hugging Face transformers (core/testkit/goldens/make_beams.py), each prompt by itself there, all in one batch here: the
 * same sequences in the same order with the same scores, in models of state-space layers, attention, and both.
 */
class BeamGoldenTest {
    private static final Map<String, EarlyStopping> ENDS = Map.of("true", EarlyStopping.WHEN_FULL, "false", EarlyStopping.HEURISTIC,
            "\"never\"", EarlyStopping.NEVER);

    @TempDir
    Path directory;

    private List<JsonView> searches() throws IOException {
        Path file = directory.resolve("beams.json");
        try (InputStream in = BeamGoldenTest.class.getResourceAsStream("/goldens/beams.json")) {
            Files.copy(in, file);
        }
        Json json = Json.read(file, 1 << 20, Json.Dialect.STRICT, CheckpointException::new);
        return JsonView.of(json, "beams.json", CheckpointException::new).at("searches").elements();
    }

    private static int[] ints(JsonView list) {
        return list.elements().stream().mapToInt(JsonView::asInt).toArray();
    }

    private static BeamSearch.Settings settings(JsonView s) {
        Set<Integer> stop = new LinkedHashSet<>();
        for (int id : ints(s.at("eos"))) {
            stop.add(id);
        }
        int beams = s.at("num_beams").asInt();
        return BeamSearch.Settings.of(beams, s.at("new").asInt(), stop).withBest(beams)
                .with(s.at("length_penalty").asDouble(), ENDS.get(s.at("early_stopping").value().toString()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"gpt2", "llama", "mamba", "mamba2", "jamba"})
    void searchesFindWhatTransformersFinds(String family) throws IOException {
        Map<BeamSearch.Settings, List<JsonView>> batches = new LinkedHashMap<>();
        searches().stream().filter(s -> s.at("family").asString().equals(family))
                .forEach(s -> batches.computeIfAbsent(settings(s), _ -> new ArrayList<>()).add(s));
        assertThat(batches).hasSizeGreaterThan(2);
        try (Golden golden = Golden.open(family); Device device = Device.open("reference");
                LanguageModel model = LanguageModel.load(golden.directory(), device, DType.F64)) {
            batches.forEach((settings, searches) -> {
                int[][] prompts = searches.stream().map(s -> ints(s.at("prompt"))).toArray(int[][]::new);
                List<List<BeamSearch.Hypothesis>> found = new BeamSearch(model).search(prompts, settings);
                for (int b = 0; b < prompts.length; b++) {
                    compare(found.get(b), searches.get(b).at("best").elements(), family + " " + settings + " prompt " + b);
                }
            });
        }
    }

    private static void compare(List<BeamSearch.Hypothesis> found, List<JsonView> expected, String what) {
        assertThat(found).as(what).hasSameSizeAs(expected);
        for (int i = 0; i < expected.size(); i++) {
            assertThat(found.get(i).continuation().tokens()).as("%s, sequence %d", what, i).isEqualTo(ints(expected.get(i).at("tokens")));
            assertThat(found.get(i).score()).as("%s, score %d", what, i).isCloseTo(expected.get(i).at("score").asDouble(), within(1e-4));
        }
    }

    @Test
    void theSearchesEndInAllWays() throws IOException {
        List<JsonView> all = searches();
        long full = all.stream().flatMap(s -> s.at("best").elements().stream()
                .filter(h -> h.at("tokens").elements().size() == s.at("new").asInt())).count();
        long sequences = all.stream().mapToLong(s -> s.at("best").elements().size()).sum();
        assertThat(full).isBetween(sequences / 20, sequences * 19 / 20);
    }
}
