import { useQuery } from "@connectrpc/connect-query";
import { WorkloadService } from "@rightsizer/api/workload_service";
import { RecommendationDetails } from "../recommendations/recommendation-card";
import { Card } from "../ui/card";
import { Loaded } from "../ui/loaded";

interface Props {
  namespace: string;
  kind: string;
  name: string;
}

export function RecommendationSection({ namespace, kind, name }: Props) {
  const query = useQuery(
    WorkloadService.method.listRecommendations,
    { namespaces: [namespace], workloads: [`${kind}/${name}`] },
    { refetchInterval: 30_000, retry: false },
  );
  return (
    <Card title="Recommendation">
      <Loaded query={query} what="the recommendation" rows={4}>
        {({ recommendations }) =>
          recommendations.length === 0 ? (
            <p className="p-3 text-soft">
              None yet: it comes once the use of its containers was measured.
            </p>
          ) : (
            <div className="divide-y divide-line">
              {recommendations.map((recommendation) => (
                <RecommendationDetails
                  key={recommendation.container}
                  recommendation={recommendation}
                />
              ))}
            </div>
          )
        }
      </Loaded>
    </Card>
  );
}
